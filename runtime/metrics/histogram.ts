/** Upper bounds, ascending, of how many samples are counted up to each; what is above the last is in `count` alone. */
export interface HistogramReading {
  readonly bounds: readonly number[];
  /** Samples up to each bound, those of lower bounds included. */
  readonly upTo: readonly number[];
  readonly count: number;
  readonly sum: number;
}

/** Samples counted by size, in memory that does not grow. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #count = 0;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  /** What is not finite is not counted: a sum would never recover from it. */
  observe(value: number): void {
    if (!Number.isFinite(value)) return;
    this.#count += 1;
    this.#sum += value;
    const at = this.#bounds.findIndex((bound) => value <= bound);
    if (at >= 0) this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  read(): HistogramReading {
    let total = 0;
    const upTo = this.#counts.map((count) => {
      total += count;
      return total;
    });
    return { bounds: this.#bounds, upTo, count: this.#count, sum: this.#sum };
  }
}
