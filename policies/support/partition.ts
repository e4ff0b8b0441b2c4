import type { HookInput } from '../../sdk/hooks.ts';

type Model = HookInput<'splitPlanner'>['model'];

/** A way to cut a model: where each shard begins, what it amounts to, and the share of its node it takes. */
export interface Cut {
  readonly firstLayers: readonly number[];
  readonly shardBytes: readonly number[];
  /** Largest `shardBytes / size` of any shard. */
  readonly peakFraction: number;
}

/** Sizes that differ from each other make the search for an order exponential; past this many states it gets coarse. */
const maxStates = 2 ** 14;
const maxSmoothingSteps = 2e7;

/** @returns bytes of the shard of layers `from` to `to` (exclusive), embedding, head and working memory included */
export function createSizer(model: Model): (from: number, to: number) => number {
  const before = [0];
  for (const { residentBytes, kvBytes } of model.layers) {
    before.push((before.at(-1) ?? 0) + residentBytes + kvBytes);
  }
  const count = model.layers.length;
  return (from, to) =>
    (before[to] ?? 0) -
    (before[from] ?? 0) +
    model.overheadBytes +
    (from === 0 ? model.embeddingBytes : 0) +
    (to === count ? model.headBytes : 0);
}

interface Search {
  readonly layers: number;
  readonly bytes: (from: number, to: number) => number;
}

/** The last layer (exclusive) that a shard beginning at `from` can reach; -1 when not even one fits. */
function reach({ bytes }: Search, from: number, capacity: number, limit: number): number {
  let low = from;
  let high = limit;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (bytes(from, middle) <= capacity) low = middle;
    else high = middle - 1;
  }
  return low > from ? low : -1;
}

/** Distinct sizes with their counts, largest first. Too many to search become groups, each as small as its smallest. */
function groupsOf(sizes: readonly number[]): { size: number; count: number }[] {
  const sorted = [...sizes].sort((a, b) => b - a);
  const groups: { size: number; count: number }[] = [];
  for (const size of sorted) {
    const last = groups.at(-1);
    if (last?.size === size) last.count += 1;
    else groups.push({ size, count: 1 });
  }
  const states = groups.reduce((product, { count }) => product * (count + 1), 1);
  if (states <= maxStates) return groups;
  const width = Math.ceil(sorted.length / 3);
  return [0, 1, 2]
    .map((part) => sorted.slice(part * width, (part + 1) * width))
    .filter((part) => part.length > 0)
    .map((part) => ({ size: part.at(-1) ?? 0, count: part.length }));
}

/**
 * An order of the sizes in which shards of at most `fraction × size` cover every layer, one shard each.
 *
 * Reaching further with the same nodes is never worse, so for each multiset of used nodes only the furthest reach
 * counts: dynamic programming over multisets, O(states × groups × log layers).
 */
function findOrder(search: Search, sizes: readonly number[], fraction: number) {
  const groups = groupsOf(sizes);
  const strides: number[] = [];
  let states = 1;
  for (const { count } of groups) {
    strides.push(states);
    states *= count + 1;
  }
  const reached = new Int32Array(states).fill(-1);
  const usedLast = new Int16Array(states).fill(-1);
  reached[0] = 0;
  for (let state = 1; state < states; state += 1) {
    const digits = groups.map(
      ({ count }, group) => Math.floor(state / (strides[group] ?? 1)) % (count + 1),
    );
    const shards = digits.reduce((sum, digit) => sum + digit, 0);
    const limit = search.layers - (sizes.length - shards);
    for (const [group, digit] of digits.entries()) {
      const from = digit > 0 ? (reached[state - (strides[group] ?? 1)] ?? -1) : -1;
      if (from < 0) continue;
      const to = reach(search, from, fraction * (groups[group]?.size ?? 0), limit);
      if (to > (reached[state] ?? -1)) {
        reached[state] = to;
        usedLast[state] = group;
      }
    }
  }
  if (reached[states - 1] !== search.layers) return undefined;
  const order: number[] = [];
  for (let state = states - 1; state > 0; ) {
    const group = usedLast[state] ?? 0;
    order.unshift(groups[group]?.size ?? 0);
    state -= strides[group] ?? 1;
  }
  return order;
}

/** The cut in this order whose shares are most alike (least sum of squares) and at most `fraction`. O(shards × layers²). */
function smooth(search: Search, order: readonly number[], fraction: number): number[] {
  const { layers, bytes } = search;
  let costs = new Float64Array(layers + 1).fill(Number.POSITIVE_INFINITY);
  costs[0] = 0;
  const begins: Int32Array[] = [];
  for (const [shard, size] of order.entries()) {
    const next = new Float64Array(layers + 1).fill(Number.POSITIVE_INFINITY);
    const begin = new Int32Array(layers + 1);
    const last = layers - (order.length - 1 - shard);
    for (let from = shard; from < last; from += 1) {
      const cost = costs[from] ?? Number.POSITIVE_INFINITY;
      if (cost === Number.POSITIVE_INFINITY) continue;
      for (let to = from + 1; to <= last; to += 1) {
        const shardBytes = bytes(from, to);
        if (shardBytes > fraction * size) break;
        const total = cost + (shardBytes / size) ** 2;
        if (total < (next[to] ?? 0)) {
          next[to] = total;
          begin[to] = from;
        }
      }
    }
    begins.push(begin);
    costs = next;
  }
  const firstLayers: number[] = [];
  let at = layers;
  for (const begin of begins.reverse()) {
    at = begin[at] ?? 0;
    firstLayers.unshift(at);
  }
  return firstLayers;
}

function greedy(search: Search, order: readonly number[], fraction: number): number[] {
  const firstLayers: number[] = [];
  let at = 0;
  for (const [shard, size] of order.entries()) {
    firstLayers.push(at);
    at = reach(search, at, fraction * size, search.layers - (order.length - 1 - shard));
  }
  return firstLayers;
}

/**
 * Cuts a model into one shard for each size so that the fullest is as empty as can be, and the rest as alike as can be.
 *
 * The order of the sizes is chosen too, exactly while at most 14 of them differ.
 *
 * @param sizes - bytes of each node, or all 1 for parts of equal bytes
 * @param maxFraction - shards may take this much of their size: 1 for nodes
 * @returns nothing when no cut stays within `maxFraction`, or when there are fewer layers than sizes
 */
export function balance(
  model: Model,
  sizes: readonly number[],
  maxFraction: number,
): Cut | undefined {
  const bytes = createSizer(model);
  const search = { layers: model.layers.length, bytes };
  if (sizes.length === 0 || sizes.length > search.layers) return undefined;
  let order = findOrder(search, sizes, maxFraction);
  if (!order) return undefined;

  let fraction = maxFraction;
  let impossible = 0;
  const largest = Math.max(...sizes);
  for (let step = 0; step < 60 && (fraction - impossible) * largest >= 1; step += 1) {
    const middle = (fraction + impossible) / 2;
    const found = findOrder(search, sizes, middle);
    if (found) {
      fraction = middle;
      order = found;
    } else {
      impossible = middle;
    }
  }

  const cheap = order.length * search.layers ** 2 <= maxSmoothingSteps;
  const firstLayers = (cheap ? smooth : greedy)(search, order, fraction);
  const shardBytes = firstLayers.map((from, shard) =>
    bytes(from, firstLayers[shard + 1] ?? search.layers),
  );
  const peakFraction = Math.max(
    ...shardBytes.map((size, shard) => size / (order[shard] ?? Number.NaN)),
  );
  return { firstLayers, shardBytes, peakFraction };
}

/** Parts of as equal bytes as can be. @returns nothing when there are fewer layers than parts */
export function cutEvenly(model: Model, parts: number): Cut | undefined {
  if (parts > model.layers.length) return undefined;
  const whole = createSizer(model)(0, model.layers.length);
  return balance(model, new Array<number>(parts).fill(1), whole);
}

/** Whether shards fit the nodes, one a node. */
export function fitsApart(shardBytes: readonly number[], freeBytes: readonly number[]): boolean {
  const nodes = [...freeBytes].sort((a, b) => b - a);
  return [...shardBytes].sort((a, b) => b - a).every((bytes, at) => bytes <= (nodes[at] ?? -1));
}

/** Whether shards fit the nodes, several on one where need be: each, largest first, on the fullest node that holds it. */
export function fitsTogether(shardBytes: readonly number[], freeBytes: readonly number[]): boolean {
  const left = [...freeBytes];
  return [...shardBytes]
    .sort((a, b) => b - a)
    .every((bytes) => {
      left.sort((a, b) => a - b);
      const at = left.findIndex((free) => free >= bytes);
      if (at < 0) return false;
      left[at] = (left[at] ?? 0) - bytes;
      return true;
    });
}
