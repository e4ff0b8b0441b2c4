import type { NumberReader, Stats, Variable } from './subject.ts';

const noStats: Stats = {
  ...{ count: 0, sum: 0 },
  ...{ min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY },
};

export function combineStats(parts: readonly Stats[]): Stats {
  let { count, sum, min, max } = noStats;
  for (let at = 0; at < parts.length; at += 1) {
    const part = parts[at] as Stats;
    count += part.count;
    sum += part.sum;
    if (part.min < min) min = part.min;
    if (part.max > max) max = part.max;
  }
  return { count, sum, min, max };
}

/** NaN, which stands for what is not known, is left out. */
export function statsOf<T>(things: Iterable<T>, read: (thing: T) => number): Stats {
  let { count, sum, min, max } = noStats;
  for (const thing of things) {
    const value = read(thing);
    if (Number.isNaN(value)) continue;
    count += 1;
    sum += value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { count, sum, min, max };
}

/** The same of a column, without an iterator: a changed node makes its run count hundreds of devices anew. */
function columnStats(column: Float64Array): Stats {
  let { count, sum, min, max } = noStats;
  for (let at = 0; at < column.length; at += 1) {
    const value = column[at] as number;
    if (Number.isNaN(value)) continue;
    count += 1;
    sum += value;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { count, sum, min, max };
}

/**
 * Things that do not change, with their numbers in columns: a comparison of all of them is a loop over plain numbers,
 * which costs a fraction of asking each object. A column is made when a condition first reads it.
 */
export class Batch<S> {
  readonly things: readonly S[];
  /** By readers and variables that may be a filter's own: they are forgotten with it. */
  readonly #columns = new WeakMap<NumberReader<S>, Float64Array>();
  readonly #indexes = new WeakMap<Variable<S>, ReadonlyMap<unknown, Int32Array>>();
  readonly #stats = new WeakMap<NumberReader<S>, Stats>();

  constructor(things: readonly S[]) {
    this.things = things;
  }

  column(read: NumberReader<S>): Float64Array {
    const known = this.#columns.get(read);
    if (known) return known;
    const { things } = this;
    const column = new Float64Array(things.length);
    for (let at = 0; at < things.length; at += 1) column[at] = read(things[at] as S);
    this.#columns.set(read, column);
    return column;
  }

  /**
   * Each value that any of the things has, and which have it: a bit each, in words of 32. Few tags and models stand for
   * many nodes, so a test looks at few values.
   */
  index(variable: Variable<S>): ReadonlyMap<unknown, Int32Array> {
    const known = this.#indexes.get(variable);
    if (known) return known;
    const index = new Map<unknown, Int32Array>();
    const add = (value: unknown, at: number): void => {
      const bits = index.get(value) ?? new Int32Array(this.words);
      index.set(value, bits);
      bits[at >> 5] = (bits[at >> 5] ?? 0) | (1 << (at & 31));
    };
    for (const [at, thing] of this.things.entries()) {
      const value = variable.read(thing);
      if (!Array.isArray(value)) add(value, at);
      else for (const element of value) add(element, at);
    }
    this.#indexes.set(variable, index);
    return index;
  }

  stats(read: NumberReader<S>): Stats {
    const known = this.#stats.get(read);
    if (known) return known;
    const stats = columnStats(this.column(read));
    this.#stats.set(read, stats);
    return stats;
  }

  /** A bit for each of the things from `32 × word` on. */
  everything(word: number): number {
    const left = this.things.length - word * 32;
    return left >= 32 ? -1 : 2 ** Math.max(0, left) - 1;
  }

  get words(): number {
    return (this.things.length + 31) >> 5;
  }
}
