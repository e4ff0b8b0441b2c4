import { AiosError, PolicyError } from '../../sdk/errors.ts';
import type { PolicyState } from '../../sdk/hooks.ts';
import type { DocumentKey, Operation, Store } from '../store/store.ts';

/** The document of one policy at one use site. */
interface StateDocument {
  readonly version: number;
  readonly state: PolicyState;
}

interface Held {
  readonly key: DocumentKey;
  version: number;
  state: PolicyState;
  /** Store revision that the next write expects. */
  revision: number;
  dirty: boolean;
}

/** Which policy, and where it is used. */
export interface StateKey {
  readonly tenant: string;
  readonly policyUri: string;
  readonly useSite: string;
}

/** What policies keep between evaluations. Evaluations of one policy at one use site follow one another. */
export interface StateKeeper {
  /**
   * @param use - gets the state and how often it has changed; gives the new state, or the same one
   * @throws {PolicyError} BUSY - too many wait for this state already
   */
  use<T>(
    key: StateKey,
    use: (state: PolicyState, version: number) => Promise<{ state: PolicyState; result: T }>,
  ): Promise<T>;
  /** Removes every state of a use site. */
  forget(tenant: string, useSite: string): Promise<void>;
  /** Waits until everything is stored. */
  close(): Promise<void>;
}

const maxHeld = 10_000;
const maxWaiting = 100;

interface Queue {
  tail: Promise<unknown>;
  waiting: number;
}

/**
 * Keeps states in memory and writes them behind: a load balancer changes its own at every request, and a write waits for
 * the disk, so all that changed goes in one commit. Compare-and-set: where another process wrote in between, its state is
 * taken over.
 *
 * @param writeDelayMs - how long changes wait for each other, and what a crash loses at most
 */
export function createStateKeeper(store: Store, writeDelayMs = 250): StateKeeper {
  const held = new Map<string, Held>();
  const queues = new Map<string, Queue>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  const idOf = ({ policyUri, useSite }: StateKey): string => `${policyUri}@${useSite}`;

  async function load(name: string, key: DocumentKey): Promise<Held> {
    const known = held.get(name);
    if (known) return known;
    const document = await store.get<StateDocument>(key);
    const fresh: Held = {
      key,
      state: document?.value.state ?? {},
      version: document?.value.version ?? 0,
      revision: document?.revision ?? 0,
      dirty: false,
    };
    for (const [other, entry] of held) {
      if (held.size < maxHeld) break;
      if (!entry.dirty && !queues.has(other)) held.delete(other);
    }
    held.set(name, fresh);
    return fresh;
  }

  async function commit(entries: readonly (readonly [name: string, entry: Held])[]) {
    for (const [, entry] of entries) entry.dirty = false;
    const operations = entries.map(([, { key, version, state, revision }]): Operation => {
      const value: StateDocument = { version, state };
      return { type: 'put', ...key, value, ifRevision: revision };
    });
    const revision = await store.commit(operations);
    for (const [, entry] of entries) entry.revision = revision;
  }

  async function write(): Promise<void> {
    const changed = [...held].filter(([, entry]) => entry.dirty);
    if (changed.length === 0) return;
    try {
      await commit(changed);
    } catch {
      for (const [name, entry] of changed) {
        await commit([[name, entry]]).catch((fault: unknown) => {
          // Another process wrote: its state counts. Anything else may pass, and is tried again.
          if (AiosError.from(fault).code === 'STORE_CONFLICT') held.delete(name);
          else entry.dirty = true;
        });
      }
    }
  }

  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    writing = writing.then(write).then(() => {
      if ([...held.values()].some(({ dirty }) => dirty)) schedule();
    });
    return writing;
  }

  function schedule(): void {
    timer ??= setTimeout(() => void flush(), writeDelayMs).unref();
  }

  async function inTurn<T>(name: string, task: () => Promise<T>): Promise<T> {
    const queue = queues.get(name) ?? { tail: Promise.resolve(), waiting: 0 };
    queues.set(name, queue);
    queue.waiting += 1;
    const turn = queue.tail.then(task);
    queue.tail = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      queue.waiting -= 1;
      if (queue.waiting === 0) queues.delete(name);
    }
  }

  return {
    async use(key, use) {
      const { tenant } = key;
      const id = idOf(key);
      const name = JSON.stringify([tenant, id]);
      if ((queues.get(name)?.waiting ?? 0) >= maxWaiting) {
        throw new PolicyError(
          'BUSY',
          `policy '${key.policyUri}' has ${maxWaiting} evaluations waiting at ${key.useSite}; retry later.`,
        );
      }
      return inTurn(name, async () => {
        const entry = await load(name, { tenant, kind: 'policy-state', id });
        const { state, result } = await use(entry.state, entry.version);
        if (state !== entry.state) {
          entry.state = state;
          entry.version += 1;
          entry.dirty = true;
          schedule();
        }
        return result;
      });
    },
    async forget(tenant, useSite) {
      const ends = `@${useSite}`;
      for (const [name, { key }] of held) {
        if (key.tenant === tenant && key.id.endsWith(ends)) held.delete(name);
      }
      await writing;
      const stored = await store.list(tenant, 'policy-state');
      const gone = stored.filter(({ id }) => id.endsWith(ends));
      await store.commit(
        gone.map(({ id }) => ({ type: 'delete', tenant, kind: 'policy-state', id })),
      );
    },
    async close() {
      await Promise.all([...queues.values()].map(({ tail }) => tail));
      await flush();
      clearTimeout(timer);
    },
  };
}
