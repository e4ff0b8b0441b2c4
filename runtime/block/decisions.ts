import type { Decision } from '../../sdk/client/api.ts';
import type { Operation, Store } from '../store/index.ts';

const keptPerBlock = 20;
const keptInAll = 1000;

interface Entry {
  readonly tenant: string;
  readonly id: string;
  readonly blockId: string;
  readonly isPlaced: boolean;
  readonly instanceIds: readonly string[];
}

const entryOf = ({ tenant, id, blockId, outcome, plan }: Decision): Entry => ({
  ...{ tenant, id, blockId },
  isPlaced: outcome === 'placed',
  instanceIds: plan?.instances.map(({ instanceId }) => instanceId) ?? [],
});

/**
 * In the order in which they make room: oldest first, but last of all why each block runs where it runs. Else a thousand
 * dry runs would take that away.
 */
function lessTelling(entries: readonly Entry[]): readonly Entry[] {
  const newestPlaced = new Map<string, Entry>();
  for (const entry of entries) {
    if (entry.isPlaced) newestPlaced.set(JSON.stringify([entry.tenant, entry.blockId]), entry);
  }
  const kept = new Set(newestPlaced.values());
  return [...entries.filter((entry) => !kept.has(entry)), ...kept];
}

/** Why blocks are where they are: the newest decisions of each, in the store. */
export interface Decisions {
  /** What to commit so that the decision is kept, and older ones make room. */
  record(decision: Decision): readonly Operation[];
  /** Whether a decision that is kept placed the instance for this tenant. */
  placed(tenant: string, instanceId: string): boolean;
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
  let entries = stored.map(entryOf);

  return {
    record(decision) {
      const { tenant, blockId } = decision;
      entries.push(entryOf(decision));
      const same = entries.filter((e) => e.blockId === blockId && e.tenant === tenant);
      const dropped = new Set(same.slice(0, Math.max(0, same.length - keptPerBlock)));
      for (const entry of lessTelling(entries)) {
        if (entries.length - dropped.size <= keptInAll) break;
        dropped.add(entry);
      }
      entries = entries.filter((entry) => !dropped.has(entry));
      return [
        { ...keyOf(decision), type: 'put', value: decision },
        ...[...dropped].map((entry): Operation => ({ ...keyOf(entry), type: 'delete' })),
      ];
    },
    placed: (tenant, instanceId) =>
      entries.some((entry) => entry.tenant === tenant && entry.instanceIds.includes(instanceId)),
    async ofBlock(tenant, blockId) {
      const wanted = entries.filter((e) => e.blockId === blockId && e.tenant === tenant).reverse();
      const found = await Promise.all(wanted.map((entry) => store.get<Decision>(keyOf(entry))));
      return found.flatMap((document) => (document ? [document.value] : []));
    },
  };
}
