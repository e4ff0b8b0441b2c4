import { DataPlaneError } from '../../sdk/errors.ts';
import {
  type ConnectOptions,
  connectInstance,
  type FlowConnection,
  type FlowLink,
  type RouteHop,
} from '../dataplane/index.ts';

/** The streams of one instance to the instances after it: one each, shared by all sessions, kept between them. */
export interface NextHops {
  /** @throws {AiosError} SHARD_UNAVAILABLE, UNAUTHENTICATED */
  link(hop: RouteHop): Promise<FlowLink>;
  close(): void;
}

export interface NextHopsOptions {
  readonly selfId: string;
  /** Called once with every stream, before anybody uses it. */
  readonly onLink: (link: FlowLink) => void;
  readonly connect?: (options: ConnectOptions) => FlowConnection;
}

export function createNextHops(options: NextHopsOptions): NextHops {
  const { selfId, onLink, connect = connectInstance } = options;
  const open = new Map<string, { connection: FlowConnection; link: Promise<FlowLink> }>();

  const openHop = async (
    { instanceId, address }: RouteHop,
    connection: FlowConnection,
  ): Promise<FlowLink> => {
    const link = await connection.link();
    if (link.peerId !== instanceId) {
      throw new DataPlaneError(
        'SHARD_UNAVAILABLE',
        `expected instance '${instanceId}' at ${address}, found '${link.peerId}': it was restarted. Ask again.`,
      );
    }
    onLink(link);
    return link;
  };

  return {
    link(hop) {
      const { instanceId, address, ticket } = hop;
      const key = `${instanceId} ${address} ${ticket}`;
      const known = open.get(key);
      if (known) return known.link;
      const connection = connect({ address, peerId: selfId, ticket });
      const link = openHop(hop, connection);
      const forget = () => {
        open.delete(key);
        connection.close();
      };
      open.set(key, { connection, link });
      link.then((up) => up.onDown(forget), forget);
      return link;
    },
    close() {
      for (const { connection } of open.values()) connection.close();
      open.clear();
    },
  };
}
