import type { PolicyState } from '../../sdk/hooks.ts';
import type { DocumentKey, Store } from '../store/store.ts';

/** The document of one policy at one use site. */
interface StateDocument {
  readonly version: number;
  readonly state: PolicyState;
}

interface Held extends StateDocument {
  /** Store revision that the next write expects. */
  revision: number;
  writing: Promise<void> | undefined;
  dirty: boolean;
  version: number;
  state: PolicyState;
}

/** What policies keep between evaluations. Evaluations of one policy at one use site follow one another. */
export interface StateKeeper {
  /** @param use - gets the state and how often it has changed; gives the new state, or the same one */
  use<T>(
    key: { readonly tenant: string; readonly id: string },
    use: (state: PolicyState, version: number) => Promise<{ state: PolicyState; result: T }>,
  ): Promise<T>;
  /** Waits until everything is stored. */
  close(): Promise<void>;
}

const maxHeld = 10_000;

/**
 * Keeps states in memory and writes them behind: a load balancer changes its own at every request, which must not wait
 * for a disk. Writes of one state are merged while one is under way, and compare-and-set: where another process wrote
 * in between, its state is taken over. A crash loses the changes of the last write at most.
 */
export function createStateKeeper(store: Store): StateKeeper {
  const held = new Map<string, Held>();
  const queues = new Map<string, Promise<unknown>>();

  async function load(name: string, key: DocumentKey): Promise<Held> {
    const known = held.get(name);
    if (known) return known;
    const document = await store.get<StateDocument>(key);
    const fresh: Held = {
      state: document?.value.state ?? {},
      version: document?.value.version ?? 0,
      revision: document?.revision ?? 0,
      writing: undefined,
      dirty: false,
    };
    for (const [other, entry] of held) {
      if (held.size < maxHeld) break;
      if (!entry.dirty && !entry.writing) held.delete(other);
    }
    held.set(name, fresh);
    return fresh;
  }

  async function write(name: string, key: DocumentKey, entry: Held): Promise<void> {
    while (entry.dirty) {
      entry.dirty = false;
      const value: StateDocument = { version: entry.version, state: entry.state };
      try {
        entry.revision = await store.commit([
          { type: 'put', ...key, value, ifRevision: entry.revision },
        ]);
      } catch {
        // Another process wrote, or the store is closing: either way the store's copy counts from now on.
        held.delete(name);
        return;
      }
    }
  }

  return {
    async use({ tenant, id }, use) {
      const key: DocumentKey = { tenant, kind: 'policy-state', id };
      const name = JSON.stringify([tenant, id]);
      const turn = (queues.get(name) ?? Promise.resolve()).then(async () => {
        const entry = await load(name, key);
        const { state, result } = await use(entry.state, entry.version);
        if (state !== entry.state) {
          entry.state = state;
          entry.version += 1;
          entry.dirty = true;
          entry.writing ??= write(name, key, entry).finally(() => {
            entry.writing = undefined;
          });
        }
        return result;
      });
      const settled = turn.then(
        () => undefined,
        () => undefined,
      );
      queues.set(name, settled);
      try {
        return await turn;
      } finally {
        if (queues.get(name) === settled) queues.delete(name);
      }
    },
    async close() {
      await Promise.all(queues.values());
      await Promise.all([...held.values()].map((entry) => entry.writing));
    },
  };
}
