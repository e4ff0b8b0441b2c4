import type { Decision } from '../../sdk/client/api.ts';
import type { Operation, Store } from '../store/index.ts';

const keptPerBlock = 20;
const keptInAll = 1000;

interface Entry {
  readonly tenant: string;
  readonly id: string;
  readonly blockId: string;
}

/** Why blocks are where they are: the newest decisions of each, in the store. */
export interface Decisions {
  /** What to commit so that the decision is kept, and older ones make room. */
  record(decision: Decision): readonly Operation[];
  /** Newest first. */
  ofBlock(tenant: string, blockId: string): Promise<readonly Decision[]>;
}

const keyOf = ({ tenant, id }: Pick<Entry, 'tenant' | 'id'>) =>
  ({ tenant, kind: 'decision', id }) as const;

export async function openDecisions(store: Store): Promise<Decisions> {
  const stored: Decision[] = [];
  for (const tenant of await store.tenants()) {
    for (const { value } of await store.list<Decision>(tenant, 'decision')) stored.push(value);
  }
  stored.sort((a, b) => a.atMs - b.atMs);
  // Oldest first. An entry whose commit failed names nothing, and is skipped when read.
  let entries: Entry[] = stored.map(({ tenant, id, blockId }) => ({ tenant, id, blockId }));

  return {
    record(decision) {
      const { tenant, id, blockId } = decision;
      entries.push({ tenant, id, blockId });
      const same = entries.filter((e) => e.blockId === blockId && e.tenant === tenant);
      const dropped = new Set([
        ...same.slice(0, Math.max(0, same.length - keptPerBlock)),
        ...entries.slice(0, Math.max(0, entries.length - keptInAll)),
      ]);
      entries = entries.filter((entry) => !dropped.has(entry));
      return [
        { ...keyOf(decision), type: 'put', value: decision },
        ...[...dropped].map((entry): Operation => ({ ...keyOf(entry), type: 'delete' })),
      ];
    },
    async ofBlock(tenant, blockId) {
      const wanted = entries.filter((e) => e.blockId === blockId && e.tenant === tenant).reverse();
      const found = await Promise.all(wanted.map((entry) => store.get<Decision>(keyOf(entry))));
      return found.flatMap((document) => (document ? [document.value] : []));
    },
  };
}
