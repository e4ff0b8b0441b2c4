import { type Costs, reversed } from './pipeline-costs.ts';
import {
  fillTable,
  firstBegins,
  type Limits,
  mostWeights,
  spent,
  type Work,
} from './pipeline-table.ts';
import type { Found } from './shortest-pipeline.ts';

/** Shards in order: the node of each and its first layer; and the milliseconds between two tokens. */
export interface Pipeline {
  readonly nodes: readonly number[];
  readonly firstLayers: readonly number[];
  readonly periodMs: number;
  /** Milliseconds of its slowest part. */
  readonly maxMs: number;
  readonly sumMs: number;
}

/** Two plans that differ by less are as fast. */
export const alike = 1e-6;
/** On the way to a bound. */
const halvings = 20;

export type Find = (limits: Limits) => Found | typeof spent | undefined;

export const withPeriod = (
  { sumMs, maxMs, rows, firstLayers }: Found,
  readers: number,
): Pipeline => ({
  ...{ nodes: rows, firstLayers, sumMs, maxMs },
  periodMs: Math.max(sumMs / readers, maxMs),
});

/**
 * A tighter limit makes the slowest part faster and the sum longer: where they meet is the best.
 *
 * @param floorMs - no pipeline is faster
 */
export function improve(
  costs: Costs,
  find: Find,
  readers: number,
  floorMs: number,
  known?: Pipeline,
) {
  let best = known;
  const aim = (): number => (best ? best.periodMs * (1 - alike) : Number.POSITIVE_INFINITY);
  if (aim() < floorMs) return { best, isProven: true };
  const first = find({ partMs: aim(), sumMs: aim() * readers });
  if (first === spent) return { best, isProven: false };
  if (!first) return { best, isProven: true };
  best = withPeriod(first, readers);
  let impossible = Math.max(floorMs, first.sumMs / readers);
  while (aim() > impossible) {
    const partMs = (aim() + impossible) / 2;
    const found = find({ partMs, sumMs: aim() * readers });
    if (found === spent) return { best, isProven: false };
    if (found) best = withPeriod(found, readers);
    // Where parts may take longer none is faster than the shortest part that is longer.
    if (!found || found.sumMs / readers > partMs) impossible = nextPart(costs, partMs);
  }
  return { best, isProven: true };
}

/** The shortest part, of all that could be, that takes longer than `partMs`. */
function nextPart(costs: Costs, partMs: number): number {
  const { layers, nodes, hops } = costs;
  const begins = firstBegins(costs, partMs);
  let next = Number.POSITIVE_INFINITY;
  for (let node = 0; node < nodes; node += 1) {
    for (let to = 1; to <= layers; to += 1) {
      const begin = begins[node * (layers + 1) + to] ?? 0;
      if (begin > 0) next = Math.min(next, costs.shard(node, begin - 1, to));
    }
  }
  for (const hop of hops) if (hop > partMs && hop < next) next = hop;
  return next;
}

/** A period that none is faster than: all nodes together must hold all layers, each what it could in that time. */
function floorOf(costs: Costs): number {
  const whole = costs.weightsBefore[costs.layers] ?? 0;
  const holds = (partMs: number): boolean => {
    const most = [...mostWeights(costs, firstBegins(costs, partMs))].sort((a, b) => b - a);
    return most.slice(0, costs.layers).reduce((sum, one) => sum + one, 0) >= whole * (1 - alike);
  };
  let impossible = 0;
  let possible = whole * Math.min(...costs.msPerByte);
  for (let step = 0; step < halvings && possible < Number.POSITIVE_INFINITY; step += 1) {
    const middle = (impossible + possible) / 2;
    if (holds(middle)) possible = middle;
    else impossible = middle;
  }
  return impossible;
}

/** What is missing at least, nodes used any number of times. */
interface Missing {
  /** For each end of a shard, at `layer * nodes + node`. */
  readonly afterMs: Float64Array;
  readonly sumMs: number;
}

function missing(costs: Costs, limits: Limits, work: Work): Missing {
  const { layers, nodes } = costs;
  const space = { chained: false, bits: new Array<number>(nodes).fill(0) };
  const table = fillTable(reversed(costs), space, limits, { done: 0, most: Number.MAX_VALUE });
  const afterMs = new Float64Array((layers + 1) * nodes);
  if (table === spent) return { afterMs, sumMs: 0 };
  const { least, sum } = table;
  work.done += layers * nodes * nodes * 2;
  for (let placed = 1; placed < layers; placed += 1) {
    for (let node = 0; node < nodes; node += 1) {
      let soonest = Number.POSITIVE_INFINITY;
      if (least(0, layers - placed) < Number.POSITIVE_INFINITY) {
        for (let next = 0; next < nodes; next += 1) {
          const ms = costs.hop(node, next) + sum(0, layers - placed, next);
          if (ms < soonest) soonest = ms;
        }
      }
      afterMs[placed * nodes + node] = soonest;
    }
  }
  return { afterMs, sumMs: least(0, layers) };
}

export interface Search {
  readonly costs: Costs;
  readonly readers: number;
  readonly shards?: number;
  readonly floorMs: number;
  readonly missing: Missing;
  readonly work: Work;
}

export function searchOf(
  costs: Costs,
  readers: number,
  shards: number | undefined,
  work: Work,
  aimMs: number,
): Search {
  const left = missing(costs, { partMs: aimMs, sumMs: aimMs * readers }, work);
  return {
    ...{ costs, readers, work, missing: left },
    ...(shards === undefined ? {} : { shards }),
    floorMs: Math.max(floorOf(costs), (left.sumMs / readers) * (1 - alike)),
  };
}
