import type { Decision, DecisionFilter, DecisionKind } from '../../sdk/client/api.ts';
import type { Retention } from './decision-log.ts';

/** What is known of a decision without reading it. */
export interface Entry {
  readonly tenant: string;
  readonly id: string;
  readonly kind: DecisionKind;
  readonly subject: string;
  readonly blockId: string;
  readonly outcome: Decision['outcome'];
  readonly clusterId: string | undefined;
  readonly instanceIds: readonly string[];
  readonly atMs: number;
}

/** A decision with everything that may be left out of one. */
export type WholeDecision = Decision & Required<Pick<Decision, 'kind' | 'subject'>>;

export function entryOf(decision: WholeDecision): Entry {
  const { tenant, id, kind, subject, blockId, outcome, plan, atMs } = decision;
  const instanceIds = plan?.instances.map(({ instanceId }) => instanceId) ?? [];
  const clusterId = plan?.clusterId;
  return { tenant, id, kind, subject, blockId, outcome, clusterId, instanceIds, atMs };
}

const nameOf = (...parts: readonly string[]): string => JSON.stringify(parts);

/** Under `cluster/home` is what is about it, its nodes, and what was placed there. */
function isAbout(entry: Entry, subject: string): boolean {
  if (entry.subject === subject || entry.subject.startsWith(`${subject}/`)) return true;
  const slash = subject.indexOf('/');
  const [kind, id] = [subject.slice(0, slash), subject.slice(slash + 1)];
  if (kind === 'block') return entry.blockId === id;
  if (kind === 'instance') return entry.instanceIds.includes(id);
  if (kind === 'cluster') {
    return entry.clusterId === id || entry.subject.startsWith(`node/${id}/`);
  }
  return false;
}

/** Which decisions are kept, and which make room: the oldest, but last of all why each block runs where it runs. */
export class DecisionIndex {
  readonly #retention: Required<Retention>;
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>();
  readonly #bySubject = new Map<string, Entry[]>();
  /** By block. Else a thousand dry runs would take away why it runs where it runs. */
  readonly #newestPlaced = new Map<string, Entry>();
  readonly #byInstance = new Map<string, Entry>();

  constructor({ perSubject = 20, inAll = 1000, maxAgeMs = Number.POSITIVE_INFINITY }: Retention) {
    this.#retention = { perSubject, inAll, maxAgeMs };
  }

  /** @returns what makes room for it */
  add(entry: Entry): readonly Entry[] {
    this.#entries.set(nameOf(entry.tenant, entry.id), entry);
    const list = this.#listOf(entry);
    list.push(entry);
    if (entry.outcome === 'placed') {
      this.#newestPlaced.set(nameOf(entry.tenant, entry.blockId), entry);
      for (const id of entry.instanceIds) this.#byInstance.set(nameOf(entry.tenant, id), entry);
    }
    const dropped: Entry[] = [];
    const drop = (old: Entry | undefined): void => {
      if (!old) return;
      this.remove(old);
      dropped.push(old);
    };
    const { perSubject, inAll } = this.#retention;
    if (list.length > perSubject) drop(list.find((old) => !this.#isTelling(old)) ?? list[0]);
    if (this.#entries.size > inAll) drop(this.#leastTelling());
    return dropped;
  }

  /** @returns what is older than the limit, and goes */
  expire(nowMs: number): readonly Entry[] {
    const oldestMs = nowMs - this.#retention.maxAgeMs;
    const expired: Entry[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.atMs >= oldestMs) break;
      if (!this.#isTelling(entry)) expired.push(entry);
    }
    for (const entry of expired) this.remove(entry);
    return expired;
  }

  /** Ids that begin so: the first few. */
  beginning(tenant: string, prefix: string): readonly string[] {
    const found: string[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.tenant !== tenant || !entry.id.startsWith(prefix)) continue;
      found.push(entry.id);
      if (found.length > 5) break;
    }
    return found;
  }

  has({ tenant, id }: Pick<Entry, 'tenant' | 'id'>): boolean {
    return this.#entries.has(nameOf(tenant, id));
  }

  remove(entry: Entry): void {
    const { tenant, id, blockId, instanceIds } = entry;
    this.#entries.delete(nameOf(tenant, id));
    const list = this.#listOf(entry);
    list.splice(list.indexOf(entry), 1);
    if (list.length === 0) this.#bySubject.delete(nameOf(tenant, entry.kind, entry.subject));
    const block = nameOf(tenant, blockId);
    if (this.#newestPlaced.get(block) === entry) this.#newestPlaced.delete(block);
    for (const instanceId of instanceIds) {
      const name = nameOf(tenant, instanceId);
      if (this.#byInstance.get(name) === entry) this.#byInstance.delete(name);
    }
  }

  placed(tenant: string, instanceId: string): boolean {
    return this.#byInstance.has(nameOf(tenant, instanceId));
  }

  /** Newest first. */
  find(tenant: string, { kind, outcome, subject, limit = 50 }: DecisionFilter): readonly Entry[] {
    const found: Entry[] = [];
    for (const entry of [...this.#entries.values()].reverse()) {
      if (found.length >= limit) break;
      if (entry.tenant !== tenant) continue;
      if (kind !== undefined && entry.kind !== kind) continue;
      if (outcome !== undefined && entry.outcome !== outcome) continue;
      if (subject === undefined || isAbout(entry, subject)) found.push(entry);
    }
    return found;
  }

  #listOf({ tenant, kind, subject }: Entry): Entry[] {
    const name = nameOf(tenant, kind, subject);
    const list = this.#bySubject.get(name) ?? [];
    this.#bySubject.set(name, list);
    return list;
  }

  #isTelling(entry: Entry): boolean {
    return this.#newestPlaced.get(nameOf(entry.tenant, entry.blockId)) === entry;
  }

  #leastTelling(): Entry | undefined {
    const allTelling = this.#newestPlaced.size === this.#entries.size;
    let oldest: Entry | undefined;
    for (const entry of this.#entries.values()) {
      oldest ??= entry;
      if (allTelling) break;
      if (!this.#isTelling(entry)) return entry;
    }
    return oldest;
  }
}
