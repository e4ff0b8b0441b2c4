import { AiosError, DataPlaneError } from '../../sdk/errors.ts';
import type { RoutedInstance } from '../control-plane.ts';
import type { ConnectOptions, Frame, FrameLink, InstanceConnection } from '../dataplane/index.ts';
import { mintTicket } from '../dataplane/index.ts';

/** Connections kept open while nobody uses them. */
const maxIdleConnections = 256;
/** Frames of all sessions of an instance that may wait for credit: a step and an OPEN of each, of as many as it may hold. */
const maxQueuedFrames = 2 * 4096;

/** What one session hears from an instance. */
export interface SessionListener {
  onFrame(frame: Frame): void;
  /** The stream to the instance ended, or `onFrame` threw; no more frames come. */
  onDown(error: Error): void;
}

/** The link to one instance, its frames sorted by session. */
export interface SessionLink {
  send(frame: Frame): void;
  /**
   * Whether a frame of a long prompt may go: it must not use up the credit that all sessions of the link share, or their
   * single steps would stand behind it.
   */
  readonly hasRoom: boolean;
  /** @returns a function that stops listening */
  listen(session: string, listener: SessionListener): () => void;
}

/** A connection shared by everyone who talks to the instance; `release` it once. */
export interface PooledInstance {
  readonly connection: InstanceConnection;
  link(): Promise<SessionLink>;
  /** Drops the connection, so that the next use opens a fresh one. */
  discard(): void;
  release(): void;
}

/** Long-lived connections to instances: one each, however many sessions use it. */
export interface InstancePool {
  acquire(instance: Pick<RoutedInstance, 'instanceId' | 'address' | 'secret'>): PooledInstance;
  close(): void;
}

interface Entry {
  readonly connection: InstanceConnection;
  link: Promise<SessionLink> | undefined;
  users: number;
  discarded: boolean;
}

export function createInstancePool(
  peerId: string,
  connect: (options: ConnectOptions) => InstanceConnection,
): InstancePool {
  // In order of last use. A restarted instance has another address or secret and so another entry.
  const entries = new Map<string, Entry>();

  const evictIdle = () => {
    let excess = entries.size - maxIdleConnections;
    for (const [key, entry] of entries) {
      if (excess <= 0) return;
      if (entry.users > 0) continue;
      entries.delete(key);
      entry.connection.close();
      excess -= 1;
    }
  };

  return {
    acquire({ instanceId, address, secret }) {
      const key = `${instanceId}|${address}|${secret}`;
      const entry = entries.get(key) ?? {
        connection: connect({
          address,
          peerId,
          ticket: mintTicket(secret, peerId),
          maxQueuedFrames,
        }),
        link: undefined,
        users: 0,
        discarded: false,
      };
      entries.delete(key);
      entries.set(key, entry);
      entry.users += 1;
      evictIdle();

      const discard = () => {
        entry.discarded = true;
        if (entries.get(key) === entry) entries.delete(key);
        if (entry.users === 0) entry.connection.close();
      };
      let released = false;
      return {
        connection: entry.connection,
        link: () => {
          if (!entry.link) {
            const opening = entry.connection.link().then((link) => sortBySession(link, discard));
            entry.link = opening;
            opening.catch(() => {
              if (entry.link === opening) entry.link = undefined;
            });
          }
          return entry.link;
        },
        discard,
        release() {
          if (released) return;
          released = true;
          entry.users -= 1;
          if (entry.discarded && entry.users === 0) entry.connection.close();
        },
      };
    },
    close() {
      for (const entry of entries.values()) entry.connection.close();
      entries.clear();
    },
  };
}

function sortBySession(link: FrameLink, onDown: () => void): SessionLink {
  const listeners = new Map<string, SessionListener>();
  let down: Error | undefined;
  let mostCredit = 0;
  link.onFrame((frame) => {
    // Frames of a session that has ended here are still on their way for a moment: they are dropped.
    const listener = listeners.get(frame.session);
    try {
      listener?.onFrame(frame);
    } catch (error) {
      // The link is shared: what one session cannot read ends that session alone.
      listeners.delete(frame.session);
      listener?.onDown(AiosError.from(error));
    }
    link.grant();
  });
  link.onDown((error) => {
    down = error;
    onDown();
    const waiting = [...listeners.values()];
    listeners.clear();
    for (const listener of waiting) listener.onDown(error);
  });
  return {
    get hasRoom() {
      mostCredit = Math.max(mostCredit, link.credit);
      return link.queuedFrames === 0 && link.credit > mostCredit / 2;
    },
    send: (frame) => {
      if (down) {
        throw new DataPlaneError('SHARD_UNAVAILABLE', `the link to ${link.peerId} is down.`, {
          cause: down,
        });
      }
      link.send(frame);
    },
    listen(session, listener) {
      if (down) {
        listener.onDown(down);
        return () => {};
      }
      listeners.set(session, listener);
      return () => listeners.delete(session);
    },
  };
}
