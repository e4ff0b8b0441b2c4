import { contentOf, type Part, partsIn } from '../policy/index.ts';

interface Kept {
  count: number;
  /** Keys of the parts that its text refers to. */
  readonly parts: readonly string[];
}

/** What to write so that exactly the parts are stored that somebody needs. */
export interface PartChange {
  readonly puts: readonly { readonly key: string; readonly text: string }[];
  readonly deletes: readonly string[];
  /** Once that is committed. */
  apply(): void;
}

/**
 * One tenant's parts and how many need each: decisions, and other parts. A part is written once, and goes with the last
 * decision that needs it.
 */
export class PartTable {
  readonly #kept = new Map<string, Kept>();

  get size(): number {
    return this.#kept.size;
  }

  /** Takes what is stored. @param roots - keys that each decision refers to */
  restore(
    stored: readonly { readonly key: string; readonly text: string }[],
    roots: Iterable<readonly string[]>,
  ): void {
    for (const { key, text } of stored) this.#kept.set(key, { count: 0, parts: partsIn(text) });
    const count = (key: string): void => {
      const kept = this.#kept.get(key);
      if (kept) kept.count += 1;
    };
    for (const { parts } of this.#kept.values()) parts.forEach(count);
    for (const keys of roots) keys.forEach(count);
  }

  /**
   * @param added - parts that new decisions refer to
   * @param dropped - keys that decisions which go referred to
   */
  plan(added: Iterable<readonly Part[]>, dropped: Iterable<readonly string[]>): PartChange {
    const counts = new Map<string, number>();
    const fresh = new Map<string, { readonly text: string; readonly parts: readonly string[] }>();
    const countOf = (key: string): number => counts.get(key) ?? this.#kept.get(key)?.count ?? 0;
    const gone = new Set<string>();

    const add = ({ key, value }: Part): void => {
      counts.set(key, countOf(key) + 1);
      if (this.#kept.has(key) || fresh.has(key)) return;
      const { text, parts } = contentOf(value);
      fresh.set(key, { text, parts: parts.map((part) => part.key) });
      parts.forEach(add);
    };
    const drop = (key: string): void => {
      const left = countOf(key) - 1;
      counts.set(key, left);
      if (left > 0 || gone.has(key)) return;
      gone.add(key);
      (fresh.get(key) ?? this.#kept.get(key))?.parts.forEach(drop);
    };

    for (const parts of added) parts.forEach(add);
    for (const keys of dropped) keys.forEach(drop);
    return this.#change(counts, fresh, gone);
  }

  /** What nobody needs: left over from before. */
  orphans(): PartChange {
    const unused = [...this.#kept].filter(([, { count }]) => count === 0);
    for (const [, kept] of unused) kept.count = 1;
    return this.plan([], [unused.map(([key]) => key)]);
  }

  #change(
    counts: ReadonlyMap<string, number>,
    fresh: ReadonlyMap<string, { readonly text: string; readonly parts: readonly string[] }>,
    gone: ReadonlySet<string>,
  ): PartChange {
    return {
      puts: [...fresh].flatMap(([key, { text }]) => (gone.has(key) ? [] : [{ key, text }])),
      deletes: [...gone].filter((key) => this.#kept.has(key)),
      apply: () => {
        for (const [key, count] of counts) {
          const kept = this.#kept.get(key);
          if (gone.has(key)) this.#kept.delete(key);
          else if (kept) kept.count = count;
          else this.#kept.set(key, { count, parts: fresh.get(key)?.parts ?? [] });
        }
      },
    };
  }
}
