/**
 * Readings of one thing, several values each, in memory that never grows past its limit: two typed arrays, the newest
 * reading over the oldest. Values that were not known are NaN.
 */
export class History {
  readonly #names: ReadonlyMap<string, number>;
  readonly #capacity: number;
  #times: Float64Array;
  #values: Float64Array;
  #start = 0;
  #length = 0;

  /** @param capacity - readings kept */
  constructor(names: readonly string[], capacity: number) {
    this.#names = new Map(names.map((name, at) => [name, at]));
    this.#capacity = Math.max(2, capacity);
    // Most instances live for a moment: room for all readings is taken when they come.
    const room = Math.min(8, this.#capacity);
    this.#times = new Float64Array(room);
    this.#values = new Float64Array(room * names.length);
  }

  get length(): number {
    return this.#length;
  }

  /** What it takes now. */
  get byteLength(): number {
    return this.#times.byteLength + this.#values.byteLength;
  }

  /** A reading that is not newer than the last one is not taken: clocks are set back. */
  record(atMs: number, values: Readonly<Record<string, number | undefined>>): void {
    const last = this.#length > 0 ? this.#time(this.#length - 1) : Number.NEGATIVE_INFINITY;
    if (!(atMs > last)) return;
    if (this.#length === this.#times.length && this.#length < this.#capacity) this.#grow();
    const room = this.#times.length;
    if (this.#length === room) this.#start = (this.#start + 1) % room;
    else this.#length += 1;
    const row = (this.#start + this.#length - 1) % room;
    this.#times[row] = atMs;
    for (const [name, at] of this.#names) {
      this.#values[row * this.#names.size + at] = values[name] ?? Number.NaN;
    }
  }

  /** Known readings of one value not older than `windowMs` before the newest reading, oldest first. */
  readings(name: string, windowMs: number): Readings {
    const times: number[] = [];
    const values: number[] = [];
    const column = this.#names.get(name);
    if (column === undefined || this.#length === 0) return { times, values };
    const from = this.#time(this.#length - 1) - windowMs;
    for (let place = 0; place < this.#length; place += 1) {
      const time = this.#time(place);
      const row = (this.#start + place) % this.#times.length;
      const value = this.#values[row * this.#names.size + column] ?? Number.NaN;
      if (time < from || !Number.isFinite(value)) continue;
      times.push(time);
      values.push(value);
    }
    return { times, values };
  }

  #time(place: number): number {
    return this.#times[(this.#start + place) % this.#times.length] ?? Number.NaN;
  }

  #grow(): void {
    const room = Math.min(this.#capacity, this.#times.length * 2);
    const times = new Float64Array(room);
    const values = new Float64Array(room * this.#names.size);
    // Full and not yet turned over, as it grows before it does: its rows are in order.
    times.set(this.#times);
    values.set(this.#values);
    this.#times = times;
    this.#values = values;
  }
}

export interface Readings {
  readonly times: readonly number[];
  readonly values: readonly number[];
}
