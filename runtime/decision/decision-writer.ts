import { AiosError } from '../../sdk/errors.ts';
import type { Operation, Store } from '../store/index.ts';
import { type DecisionIndex, type Entry, entryOf, type WholeDecision } from './decision-index.ts';
import { type PartChange, PartTable } from './part-table.ts';
import { fromStored, rootsOf, type StoredDecision, toStored } from './stored-decision.ts';

export interface DecisionWriterOptions {
  readonly store: Store;
  readonly index: DecisionIndex;
  readonly writeDelayMs: number;
  readonly clock: () => number;
  readonly log: (line: string) => void;
}

/** So many are committed together. */
const batchSize = 100;
/** Between writes at least so many times as long as the last one took: a slow disk gets fewer and larger commits. */
const restFactor = 4;
const longestRestMs = 25;
/** While the store does not take them. */
const retryDelayMs = 1000;
const orphansAtOnce = 500;

export const decisionKey = ({ tenant, id }: Pick<Entry, 'tenant' | 'id'>) =>
  ({ tenant, kind: 'decision', id }) as const;
export const partKey = (tenant: string, id: string) =>
  ({ tenant, kind: 'decision-part', id }) as const;

interface Pending {
  readonly entry: Entry;
  readonly decision: WholeDecision;
}

/** Keeps the store to what the index says, with the parts that it needs: many decisions a commit. */
export class DecisionWriter {
  readonly #options: DecisionWriterOptions;
  readonly #tables = new Map<string, PartTable>();
  /** Of stored decisions: keys of the parts that each refers to. */
  readonly #roots = new Map<Entry, readonly string[]>();
  /** No more than the index keeps: what makes room is never written. */
  readonly #pending = new Map<Entry, Pending>();
  /** Stored, and removed with the next commit. */
  readonly #leaving = new Set<Entry>();
  #timer: NodeJS.Timeout | undefined;
  #isUrgent = false;
  #restMs = 0;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: DecisionWriterOptions) {
    this.#options = options;
  }

  /** Takes what is stored, and removes what nobody needs. */
  async restore(): Promise<void> {
    const { store, index } = this.#options;
    const all: Entry[] = [];
    for (const tenant of await store.tenants()) {
      const table = this.#tableOf(tenant);
      const decisions = await store.list<StoredDecision>(tenant, 'decision');
      const roots = decisions.map(({ value }) => {
        const entry = entryOf(fromStored(value));
        all.push(entry);
        this.#roots.set(entry, rootsOf(value));
        return this.#roots.get(entry) ?? [];
      });
      const parts = await store.list<string>(tenant, 'decision-part');
      table.restore(
        parts.map(({ id, value }) => ({ key: id, text: value })),
        roots,
      );
      const { deletes, apply } = table.orphans();
      for (let from = 0; from < deletes.length; from += orphansAtOnce) {
        const some = deletes.slice(from, from + orphansAtOnce);
        await store.commit(some.map((key) => ({ ...partKey(tenant, key), type: 'delete' })));
      }
      apply();
    }
    all.sort((a, b) => a.atMs - b.atMs);
    for (const entry of all) this.#makeRoom(index.add(entry));
    if (this.#leaving.size > 0) this.#schedule(this.#options.writeDelayMs);
  }

  /** Soon, together with others. */
  add(decision: WholeDecision): void {
    const entry = entryOf(decision);
    this.#pending.set(entry, { entry, decision });
    this.#makeRoom(this.#options.index.add(entry));
    const isUrgent = this.#pending.size >= batchSize;
    if (isUrgent && !this.#isUrgent) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#isUrgent = true;
    }
    this.#schedule(isUrgent ? 0 : Math.max(this.#options.writeDelayMs, this.#restMs));
  }

  /** Now, with others, all or nothing. */
  async addNow(decision: WholeDecision, operations: readonly Operation[]): Promise<void> {
    const entry = entryOf(decision);
    await this.#inTurn(() => this.#commit([{ entry, decision }], operations));
    this.#makeRoom(this.#options.index.add(entry));
    if (this.#leaving.size > 0) this.#schedule(this.#options.writeDelayMs);
  }

  flush(): Promise<void> {
    return this.#inTurn(() => this.#writePending());
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.flush();
    clearTimeout(this.#timer);
  }

  #tableOf(tenant: string): PartTable {
    const table = this.#tables.get(tenant) ?? new PartTable();
    this.#tables.set(tenant, table);
    return table;
  }

  /** Commits follow one another: which parts are stored is known when one is put together. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(task);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  #makeRoom(entries: readonly Entry[]): void {
    for (const entry of entries) if (!this.#pending.delete(entry)) this.#leaving.add(entry);
  }

  #schedule(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#isUrgent = false;
      this.flush().catch((fault: unknown) => {
        const { code, message } = AiosError.from(fault);
        if (code === 'CLOSED') return;
        this.#options.log(`decisions wait to be stored: ${message}`);
        this.#schedule(retryDelayMs);
      });
    }, delayMs);
  }

  async #writePending(): Promise<void> {
    const { index, clock } = this.#options;
    this.#makeRoom(index.expire(clock()));
    while (this.#pending.size > 0 || this.#leaving.size > 0) {
      const batch: Pending[] = [];
      for (const each of this.#pending.values()) if (batch.push(each) >= batchSize) break;
      for (const { entry } of batch) this.#pending.delete(entry);
      const startedMs = performance.now();
      try {
        await this.#commit(batch, []);
        const tookMs = performance.now() - startedMs;
        this.#restMs = Math.min(longestRestMs, restFactor * tookMs);
      } catch (fault) {
        for (const each of batch) if (index.has(each.entry)) this.#pending.set(each.entry, each);
        throw fault;
      }
      // Whoever waits for the thread goes first.
      if (this.#pending.size > 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #commit(batch: readonly Pending[], others: readonly Operation[]): Promise<void> {
    const kept = batch.map(({ entry, decision }) => ({ entry, ...toStored(decision) }));
    const going = [...this.#leaving];
    const operations: Operation[] = [...others];
    const changes: PartChange[] = [];
    for (const tenant of new Set(
      [...kept.map(({ entry }) => entry), ...going].map((e) => e.tenant),
    )) {
      const change = this.#tableOf(tenant).plan(
        kept.filter(({ entry }) => entry.tenant === tenant).map(({ parts }) => parts),
        going.filter((entry) => entry.tenant === tenant).map((e) => this.#roots.get(e) ?? []),
      );
      changes.push(change);
      for (const { key, text } of change.puts) {
        operations.push({ ...partKey(tenant, key), type: 'put', value: text });
      }
      for (const key of change.deletes) {
        operations.push({ ...partKey(tenant, key), type: 'delete' });
      }
    }
    for (const { entry, value } of kept) {
      operations.push({ ...decisionKey(entry), type: 'put', value });
    }
    for (const entry of going) operations.push({ ...decisionKey(entry), type: 'delete' });
    if (operations.length === 0) return;
    await this.#options.store.commit(operations);
    for (const change of changes) change.apply();
    for (const entry of going) {
      this.#leaving.delete(entry);
      this.#roots.delete(entry);
    }
    for (const { entry, parts } of kept)
      this.#roots.set(
        entry,
        parts.map(({ key }) => key),
      );
  }
}
