import type { HttpBindings } from '@hono/node-server';

type Connection = HttpBindings['incoming']['socket'];

/** What each open connection's unfinished requests wait for; HTTP/1.1 lets a client send several without waiting. */
const unfinished = new WeakMap<Connection, Set<() => void>>();

/**
 * Calls back once when a request is over: its response was sent, or its connection is gone. `close` of the response alone
 * does not tell: Node never emits it for a response that waits behind another one on a connection that ends.
 */
export function onRequestEnd(
  { incoming, outgoing }: Pick<HttpBindings, 'incoming' | 'outgoing'>,
  listener: () => void,
): void {
  const { socket } = incoming;
  const ends = unfinished.get(socket) ?? endsOf(socket);
  const end = (): void => {
    if (ends.delete(end)) listener();
  };
  ends.add(end);
  outgoing.once('close', end);
  if (socket.destroyed) end();
}

function endsOf(socket: Connection): Set<() => void> {
  const ends = new Set<() => void>();
  unfinished.set(socket, ends);
  socket.once('close', () => {
    for (const end of [...ends]) end();
  });
  return ends;
}
