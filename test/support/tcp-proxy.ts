import { createServer, connect as dial, type Socket } from 'node:net';

/** A way between two processes that can be cut and made slow: real sockets, bytes passed on in order. */
export interface TcpProxy extends AsyncDisposable {
  /** `127.0.0.1:port`: connect here instead. */
  readonly address: string;
  /** Connections that were taken since the start. */
  readonly connections: number;
  /** What is passed on waits this long; a function is asked for each piece. @default 0 */
  delayMs: number | (() => number);
  /** Of each direction of each connection. @default as fast as it goes */
  bytesPerSecond: number;
  /** Breaks every connection, as a pulled cable that is put back; pieces on their way are lost. @returns how many */
  cut(): number;
  /** Takes connections and passes nothing on, until told otherwise: nobody is refused. */
  closed: boolean;
  close(): Promise<void>;
}

export async function startProxy(target: string): Promise<TcpProxy> {
  const [host = '', port = ''] = target.split(':');
  const pairs = new Set<readonly [Socket, Socket]>();
  let connections = 0;
  const server = createServer((near) => {
    connections += 1;
    if (proxy.closed) return void near.resetAndDestroy();
    const far = dial(Number(port), host);
    const pair = [near, far] as const;
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    pass(near, far);
    pass(far, near);
  });

  /** Each piece leaves after its delay and after those before it. */
  function pass(from: Socket, to: Socket): void {
    let before = Promise.resolve();
    let busyUntilMs = 0;
    from.on('data', (piece) => {
      const delayMs = typeof proxy.delayMs === 'number' ? proxy.delayMs : proxy.delayMs();
      const now = performance.now();
      busyUntilMs = Math.max(busyUntilMs, now) + (piece.length / proxy.bytesPerSecond) * 1000;
      const waitMs = delayMs + busyUntilMs - now;
      if (waitMs === 0 && pending === 0) return void to.write(piece);
      pending += 1;
      const due = new Promise((resolve) => setTimeout(resolve, waitMs));
      before = before
        .then(() => due)
        .then(() => {
          pending -= 1;
          if (!to.destroyed) to.write(piece);
        });
    });
    let pending = 0;
  }

  const proxy = {
    address: '',
    get connections() {
      return connections;
    },
    delayMs: 0 as number | (() => number),
    bytesPerSecond: Number.POSITIVE_INFINITY,
    closed: false,
    cut() {
      const count = pairs.size;
      for (const [near, far] of pairs) {
        near.resetAndDestroy();
        far.resetAndDestroy();
      }
      return count;
    },
    async close() {
      proxy.cut();
      await new Promise((resolve) => server.close(resolve));
    },
    [Symbol.asyncDispose]: () => proxy.close(),
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  proxy.address = `127.0.0.1:${typeof bound === 'object' ? bound?.port : ''}`;
  return proxy;
}
