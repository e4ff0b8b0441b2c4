import type { Http2Server } from 'node:http2';
import type { Server } from '@grpc/grpc-js';

/** How far ahead of its reader a peer may send. Credits bound what is really on its way to far less. */
export const serverWindowBytes = 16 * 2 ** 20;

/** What grpc-js 1.14 keeps to itself. */
interface Internals {
  readonly commonServerOptions?: { settings?: object };
  readonly http2Servers?: ReadonlyMap<Http2Server, unknown>;
}

/**
 * Widens the flow-control window of a server's streams and sessions. grpc-js has an option for clients and none for
 * servers (https://github.com/grpc/grpc-node/pull/3058), which keep HTTP/2's 64 KB: one round trip for each 64 KB a shard
 * receives. A version whose internals differ keeps its own windows, and a test says so.
 *
 * @returns to be called once the server is bound
 */
export function widenServerWindow(server: Server): () => void {
  const { commonServerOptions, http2Servers } = server as unknown as Internals;
  if (commonServerOptions) {
    const settings = { ...commonServerOptions.settings, initialWindowSize: serverWindowBytes };
    commonServerOptions.settings = settings;
  }
  return () => {
    for (const http2Server of http2Servers?.keys() ?? []) {
      http2Server.on('session', (session) => session.setLocalWindowSize(serverWindowBytes));
    }
  };
}
