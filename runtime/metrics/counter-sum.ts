/**
 * Adds up counters of several things into one that never falls: a thing that appears, vanishes or starts again from 0
 * must not look like traffic, nor like its end.
 */
export class CounterSum {
  #last: ReadonlyMap<string, number> = new Map();
  #total = 0;

  /**
   * @param counters - of everything that is there now, by id
   * @param known - ids that may come back; what else was counted before is forgotten
   * @returns what they grew by since the first call
   */
  add(counters: ReadonlyMap<string, number>, known: ReadonlySet<string>): number {
    const next = new Map([...this.#last].filter(([id]) => known.has(id)));
    for (const [id, value] of counters) {
      const before = this.#last.get(id);
      if (before !== undefined) this.#total += value >= before ? value - before : value;
      next.set(id, value);
    }
    this.#last = next;
    return this.#total;
  }
}
