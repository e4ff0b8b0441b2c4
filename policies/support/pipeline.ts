import type { HookInput } from '../../sdk/hooks.ts';
import { createSizer } from './partition.ts';

type Question = HookInput<'splitPlanner'>;

/** Shards in order: the node of each and its first layer; and the milliseconds between two tokens. */
export interface Pipeline {
  readonly nodes: readonly number[];
  readonly firstLayers: readonly number[];
  readonly periodMs: number;
  /** Milliseconds of its slowest part. */
  readonly maxMs: number;
}

/** Where nobody measured, all nodes are alike. */
const assumedBytesPerSecond = 5e9;
const assumedLink = { latencyMs: 0.2, bytesPerSecond: 1e9 };
const refinements = 20;
const evenings = 10;
/** Part of a period that nobody could measure. */
const alike = 1e-9;

const median = (values: readonly number[], otherwise: number): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? otherwise;

/** What each part of a pipeline costs, in milliseconds a token. */
export interface Costs {
  readonly layers: number;
  readonly nodes: number;
  /** Infinite where it does not fit. */
  shard(node: number, from: number, to: number): number;
  hop(from: number, to: number): number;
}

/** @param question - of the hook; what is not measured is taken as the median of what is */
export function pipelineCosts({ model, nodes, links = [] }: Question): Costs {
  const bytes = createSizer(model);
  const before = [0];
  for (const { residentBytes } of model.layers) before.push((before.at(-1) ?? 0) + residentBytes);
  const count = model.layers.length;
  const measured = nodes.flatMap(({ weightBytesPerSecond: speed }) => speed ?? []);
  const usual = median(measured, assumedBytesPerSecond);
  const usualLink = {
    latencyMs: median(
      links.map(({ latencyMs }) => latencyMs),
      assumedLink.latencyMs,
    ),
    bytesPerSecond: median(
      links.map((l) => l.bytesPerSecond),
      assumedLink.bytesPerSecond,
    ),
  };
  const names = nodes.map(({ clusterId, nodeId }) => `${clusterId}/${nodeId}`);
  const key = (a: string, b: string): string => JSON.stringify([a, b].sort());
  const known = new Map(links.map((link) => [key(...link.between), link]));
  const hops = names.map((a) =>
    names.map((b) => {
      const { latencyMs, bytesPerSecond } = known.get(key(a, b)) ?? usualLink;
      return latencyMs + ((model.activationBytes ?? 0) / bytesPerSecond) * 1000;
    }),
  );
  return {
    layers: count,
    nodes: nodes.length,
    shard(node, from, to) {
      const { freeMemoryBytes = 0, weightBytesPerSecond = usual } = nodes[node] ?? {};
      if (bytes(from, to) > freeMemoryBytes) return Number.POSITIVE_INFINITY;
      const weights =
        (before[to] ?? 0) - (before[from] ?? 0) + (to === count ? model.headBytes : 0);
      return (weights / weightBytesPerSecond) * 1000;
    },
    hop: (from, to) => hops[from]?.[to] ?? 0,
  };
}

const ones = (bits: number): number => bits.toString(2).replaceAll('0', '').length;

interface Shortest {
  readonly sumMs: number;
  readonly maxMs: number;
  readonly nodes: readonly number[];
  readonly firstLayers: readonly number[];
}

/**
 * The pipeline with the least sum, no part of which takes longer than `limitMs`: dynamic programming over which nodes are
 * used, the last of them, and how many layers they hold. O(2ⁿ · n² · layers²).
 */
function shortest(costs: Costs, limitMs: number, shards?: number): Shortest | undefined {
  const { layers, nodes } = costs;
  const width = layers + 1;
  const at = (used: number, last: number, placed: number): number =>
    (used * nodes + last) * width + placed;
  const best = new Float64Array((1 << nodes) * nodes * width).fill(Number.POSITIVE_INFINITY);
  /** From where: the node before (or itself, for the first) and the layer it began at. */
  const began = new Int32Array(best.length).fill(-1);
  const came = new Int8Array(best.length).fill(-1);

  function extend(used: number, previous: number, from: number, soFar: number): void {
    for (let node = 0; node < nodes; node += 1) {
      if (used & (1 << node)) continue;
      const hop = previous < 0 ? 0 : costs.hop(previous, node);
      if (hop > limitMs) continue;
      for (let to = layers; to > from; to -= 1) {
        const part = costs.shard(node, from, to);
        if (part > limitMs || part === Number.POSITIVE_INFINITY) continue;
        const state = at(used | (1 << node), node, to);
        const sum = soFar + hop + part;
        if (sum >= (best[state] ?? 0)) continue;
        best[state] = sum;
        began[state] = from;
        came[state] = previous;
      }
    }
  }

  extend(0, -1, 0, 0);
  for (let used = 1; used < 1 << nodes; used += 1) {
    for (let last = 0; last < nodes; last += 1) {
      if (!(used & (1 << last))) continue;
      for (let placed = 1; placed < layers; placed += 1) {
        const sum = best[at(used, last, placed)] ?? Number.POSITIVE_INFINITY;
        if (sum < Number.POSITIVE_INFINITY) extend(used, last, placed, sum);
      }
    }
  }

  let end: { used: number; last: number; sumMs: number } | undefined;
  for (let used = 1; used < 1 << nodes; used += 1) {
    if (shards !== undefined && ones(used) !== shards) continue;
    for (let last = 0; last < nodes; last += 1) {
      const sumMs = best[at(used, last, layers)] ?? Number.POSITIVE_INFINITY;
      if (sumMs < (end?.sumMs ?? Number.POSITIVE_INFINITY)) end = { used, last, sumMs };
    }
  }
  if (!end) return undefined;

  const order: number[] = [];
  const firstLayers: number[] = [];
  let maxMs = 0;
  for (let { used, last } = end, placed = layers; last >= 0; ) {
    const state = at(used, last, placed);
    const from = began[state] ?? 0;
    const previous = came[state] ?? -1;
    order.unshift(last);
    firstLayers.unshift(from);
    maxMs = Math.max(maxMs, costs.shard(last, from, placed));
    if (previous >= 0) maxMs = Math.max(maxMs, costs.hop(previous, last));
    used &= ~(1 << last);
    placed = from;
    last = previous;
  }
  return { sumMs: end.sumMs, maxMs, nodes: order, firstLayers };
}

/**
 * The pipeline with the shortest time between two tokens of all readers together. With as many readers as keep every part
 * busy that is its slowest part; one reader waits for the sum of them. In between, `max(sum / readers, slowest)`.
 *
 * @param shards - exactly so many, where somebody asked for them
 * @returns nothing where the model does not fit; exact to a millionth
 */
export function fastestPipeline(
  costs: Costs,
  readers: number,
  shards?: number,
): Pipeline | undefined {
  const pipeline = ({ sumMs, maxMs, nodes, firstLayers }: Shortest): Pipeline => ({
    ...{ nodes, firstLayers, maxMs },
    periodMs: Math.max(sumMs / readers, maxMs),
  });
  const free = shortest(costs, Number.POSITIVE_INFINITY, shards);
  if (!free) return undefined;
  let best = pipeline(free);
  // A tighter limit makes the slowest part faster and the sum longer: where they meet is the best.
  let impossible = free.sumMs / readers;
  let limit = free.maxMs;
  for (let step = 0; step < refinements && limit > impossible; step += 1) {
    const middle = (limit + impossible) / 2;
    const found = shortest(costs, middle, shards);
    if (!found) {
      impossible = middle;
      continue;
    }
    const candidate = pipeline(found);
    if (candidate.periodMs < best.periodMs) best = candidate;
    if (found.sumMs / readers > middle) impossible = middle;
    else limit = Math.min(middle, found.maxMs);
  }
  return evener(costs, best, readers, shards) ?? best;
}

/** Of pipelines that are as fast, the one whose slowest part takes least: others may share its nodes. */
function evener(
  costs: Costs,
  best: Pipeline,
  readers: number,
  shards?: number,
): Pipeline | undefined {
  if (best.nodes.length === 1) return undefined;
  let found: Pipeline | undefined;
  let [low, high] = [0, best.maxMs];
  for (let step = 0; step < evenings; step += 1) {
    const middle = (low + high) / 2;
    const part = shortest(costs, middle, shards);
    const periodMs = part && Math.max(part.sumMs / readers, part.maxMs);
    if (!part || periodMs === undefined || periodMs > best.periodMs * (1 + alike)) {
      low = middle;
      continue;
    }
    const { nodes, firstLayers, maxMs } = part;
    found = { nodes, firstLayers, maxMs, periodMs };
    high = Math.min(middle, maxMs);
  }
  return found;
}
