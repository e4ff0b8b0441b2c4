import type { Costs } from './pipeline-costs.ts';

/** Which pipelines are looked through: rows are the nodes of the costs. */
export interface Space {
  /** One row comes before another only if it stands before it: each row is used once at most. */
  readonly chained: boolean;
  /** A bit of a row is spent when it is used; rows without one (0) may come again. None where chained. */
  readonly bits: readonly number[];
  /** Exactly so many; of spaces that are chained, or all of whose rows have bits of their own. */
  readonly shards?: number;
}

export interface Limits {
  /** No part takes longer. */
  readonly partMs: number;
  /** All parts together take no longer. */
  readonly sumMs: number;
  /** What is missing at least where a row's shard ends, at `layer * rows + row`. @default nothing */
  readonly missingMs?: Float64Array;
}

/** Steps of work: counted, since a clock would give another plan on another day. */
export interface Work {
  done: number;
  readonly most: number;
  /** Used again by the next table: fresh ones cost more than filling them. */
  sums?: Float64Array;
  least?: Float64Array;
}

/** The work ended before the search did. */
export const spent = 'spent';

/** Sums of pipelines so far, by what is spent, how many layers are placed, and the row that holds the last of them. Holds until the next. */
export interface Table {
  readonly states: number;
  /** Of all rows; infinite where nothing leads to it. */
  readonly least: (state: number, placed: number) => number;
  readonly sum: (state: number, placed: number, row: number) => number;
  readonly begins: Int32Array;
}

const none = Number.POSITIVE_INFINITY;
/** Of a table: 32 MiB. */
const mostCells = 2 ** 22;
/** Of a sum of weights, for what rounding adds. */
const rounding = 1 + 1e-9;

export const ones = (bits: number): number => {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count += 1;
  return count;
};

/** For each row and end, the first layer a shard could begin at, at `row * (layers + 1) + end`; the end itself where none fits. */
export function firstBegins(costs: Costs, partMs: number): Int32Array {
  const width = costs.layers + 1;
  const begins = new Int32Array(costs.nodes * width);
  for (let row = 0; row < costs.nodes; row += 1) {
    let from = 0;
    for (let to = 1; to < width; to += 1) {
      while (from < to) {
        const ms = costs.shard(row, from, to);
        if (ms <= partMs && ms < none) break;
        from += 1;
      }
      begins[row * width + to] = from;
    }
  }
  return begins;
}

/** Bytes of weights each row takes at most. */
export function mostWeights(costs: Costs, begins: Int32Array): Float64Array {
  const { layers, nodes, weightsBefore } = costs;
  return Float64Array.from({ length: nodes }, (_, row) => {
    let most = 0;
    for (let to = 1; to <= layers; to += 1) {
      const from = begins[row * (layers + 1) + to] ?? 0;
      most = Math.max(most, (weightsBefore[to] ?? 0) - (weightsBefore[from] ?? 0));
    }
    return most;
  });
}

/** The state before the row was taken; -1 where it cannot be taken into this one. */
export function sourceOf({ bits, chained, shards }: Space, state: number, row: number): number {
  if (chained) return shards === undefined ? state : state - 1;
  const bit = bits[row] ?? 0;
  if (bit === 0) return state;
  return (state & bit) === 0 ? -1 : state ^ bit;
}

/** How many layers must and can be placed in each state: the rows that are left must hold the others. */
function placeable(costs: Costs, bits: readonly number[], begins: Int32Array) {
  const { layers, weightsBefore } = costs;
  const capacity = mostWeights(costs, begins);
  const all = capacity.reduce((sum, weights) => sum + weights, 0);
  const whole = weightsBefore[layers] ?? 0;
  const rows = new Map(bits.map((bit, row) => [bit, row]));
  const taken = new Float64Array(1 << bits.length);
  const least = new Uint16Array(taken.length);
  const most = new Uint16Array(taken.length);
  for (let state = 1; state < taken.length; state += 1) {
    const bit = state & -state;
    const weights = (taken[state ^ bit] ?? 0) + (capacity[rows.get(bit) ?? 0] ?? 0);
    taken[state] = weights;
    const others = whole - (all - weights) * rounding;
    // As many as without this row, or more.
    let placed = least[state ^ bit] ?? 0;
    while (placed < layers && (weightsBefore[placed] ?? 0) < others) placed += 1;
    least[state] = placed;
    let reach = most[state ^ bit] ?? 0;
    while (reach < layers && (weightsBefore[reach + 1] ?? 0) <= weights * rounding) reach += 1;
    most[state] = reach;
  }
  return { least, most };
}

/**
 * The least sums of all pipelines of the space, by dynamic programming; each row has a queue that keeps the best layer to
 * begin at. O(states · rows² · layers).
 */
export function fillTable(
  costs: Costs,
  space: Space,
  { partMs, sumMs, missingMs }: Limits,
  work: Work,
): Table | typeof spent {
  const { layers, nodes: rows, weightsBefore, msPerByte } = costs;
  const { chained, bits, shards } = space;
  const width = layers + 1;
  const spendable = bits.reduce((all, bit) => all | bit, 0);
  const states = chained && shards !== undefined ? shards + 1 : spendable + 1;
  const begins = firstBegins(costs, partMs);
  const isOnce = !chained && bits.every((bit) => bit > 0);
  const bounds = isOnce ? placeable(costs, bits, begins) : undefined;
  const cells = Math.max(width * rows, Math.min(mostCells, states * width * rows));
  if (!work.sums || work.sums.length < cells) work.sums = new Float64Array(cells);
  if (!work.least || work.least.length < cells / rows) work.least = new Float64Array(cells / rows);
  const { sums, least } = work;
  /** Sums of a state lie from `(places + low) * rows` to `(places + high) * rows`, where it has any. */
  const places = new Int32Array(states);
  const low = new Int32Array(states).fill(width);
  const high = new Int32Array(states).fill(-1);
  let used = 0;
  const hops = costs.hops.map((ms) => (ms <= partMs ? ms : none));
  const queueFrom = new Int32Array(width * rows);
  const queueMs = new Float64Array(width * rows);
  const heads = new Int32Array(rows);
  const tails = new Int32Array(rows);
  const sources = new Int32Array(rows);
  const active = new Int32Array(rows);

  const leastOf = (state: number, placed: number): number =>
    placed < (low[state] ?? 0) || placed > (high[state] ?? 0)
      ? none
      : (least[(places[state] ?? 0) + placed] ?? none);

  for (let state = 0; state < states; state += 1) {
    const begin = bounds?.least[state] ?? 0;
    const reach = bounds?.most[state] ?? layers;
    if (begin > reach) continue;
    if (isOnce && shards !== undefined && ones(state) > shards) continue;
    const room = reach + 1 - begin;
    if (work.done > work.most || (used + room) * rows > cells) return spent;
    let actives = 0;
    let placed = width;
    let last = -1;
    for (let row = 0; row < rows; row += 1) {
      const source = sourceOf(space, state, row);
      if (source < 0 || msPerByte[row] === none) continue;
      if (source > 0 && source !== state && (high[source] ?? 0) < 0) continue;
      sources[row] = source;
      heads[row] = row * width;
      tails[row] = row * width;
      active[actives] = row;
      actives += 1;
      placed = source === 0 ? 0 : Math.min(placed, low[source] ?? 0);
      last = source === state ? layers : Math.max(last, high[source] ?? 0, 0);
    }
    if (actives === 0) continue;
    const place = used - begin;
    places[state] = place;
    sums.fill(none, used * rows, (used + room) * rows);
    least.fill(none, used, used + room);
    for (; placed <= layers; placed += 1) {
      const before = weightsBefore[placed] ?? 0;
      const at = (place + placed) * rows;
      let lowest = none;
      let isWaiting = placed <= last;
      for (let index = 0; index < actives; index += 1) {
        const row = active[index] ?? 0;
        const tail = tails[row] ?? 0;
        const from = begins[row * width + placed] ?? 0;
        let head = heads[row] ?? 0;
        while (head < tail && (queueFrom[head] ?? 0) < from) head += 1;
        heads[row] = head;
        if (head >= tail) continue;
        isWaiting = true;
        if (placed < begin || placed > reach) continue;
        const sum = (queueMs[head] ?? 0) + before * (msPerByte[row] ?? 0);
        if (sum + (missingMs?.[placed * rows + row] ?? 0) > sumMs) continue;
        sums[at + row] = sum;
        if (sum < lowest) lowest = sum;
      }
      if (lowest < none) {
        least[place + placed] = lowest;
        low[state] = Math.min(low[state] ?? 0, placed);
        high[state] = placed;
      }
      work.done += actives;
      if (placed === layers || !isWaiting) break;
      for (let index = 0; index < actives; index += 1) {
        const row = active[index] ?? 0;
        const source = sources[row] ?? 0;
        let soFar = placed === 0 && source === 0 ? 0 : none;
        if (leastOf(source, placed) < none) {
          const end = chained ? row : rows;
          const from = ((places[source] ?? 0) + placed) * rows;
          const hop = row * rows;
          work.done += end;
          for (let other = 0; other < end; other += 1) {
            const sum = (sums[from + other] ?? 0) + (hops[hop + other] ?? 0);
            if (sum < soFar) soFar = sum;
          }
        }
        if (soFar > sumMs || soFar === none) continue;
        const ms = soFar - before * (msPerByte[row] ?? 0);
        let tail = tails[row] ?? 0;
        const head = heads[row] ?? 0;
        while (tail > head && (queueMs[tail - 1] ?? 0) >= ms) tail -= 1;
        queueMs[tail] = ms;
        queueFrom[tail] = placed;
        tails[row] = tail + 1;
      }
    }
    if ((high[state] ?? 0) >= 0) used += room;
  }
  const sum = (state: number, placed: number, row: number): number =>
    leastOf(state, placed) < none
      ? (sums[((places[state] ?? 0) + placed) * rows + row] ?? none)
      : none;
  return { states, least: leastOf, sum, begins };
}
