import type { Costs } from './pipeline-costs.ts';
import {
  fillTable,
  type Limits,
  ones,
  type Space,
  sourceOf,
  type spent,
  type Work,
} from './pipeline-table.ts';

export interface Found {
  readonly sumMs: number;
  readonly maxMs: number;
  readonly rows: readonly number[];
  readonly firstLayers: readonly number[];
}

const none = Number.POSITIVE_INFINITY;

/**
 * The pipeline of the space with the least sum.
 *
 * @returns nothing where none stays within the limits; of a space whose rows may come again they may do so
 */
export function shortest(
  costs: Costs,
  space: Space,
  limits: Limits,
  work: Work,
): Found | typeof spent | undefined {
  const table = fillTable(costs, space, limits, work);
  if (typeof table === 'string') return table;
  const { layers, nodes: rows } = costs;
  const { shards, chained } = space;
  const { states, least, sum, begins } = table;
  const width = layers + 1;
  let end: { state: number; row: number; sumMs: number } | undefined;
  for (let state = 0; state < states; state += 1) {
    if (shards !== undefined && (chained ? state : ones(state)) !== shards) continue;
    if (least(state, layers) >= (end?.sumMs ?? none)) continue;
    for (let row = 0; row < rows; row += 1) {
      const sumMs = sum(state, layers, row);
      if (sumMs < (end?.sumMs ?? none)) end = { state, row, sumMs };
    }
  }
  if (!end) return undefined;

  const order: number[] = [];
  const firstLayers: number[] = [];
  let maxMs = 0;
  let { state, row } = end;
  for (let placed = layers; placed > 0; ) {
    const source = sourceOf(space, state, row);
    let best = { ms: none, from: 0, last: -1, hopMs: 0 };
    for (let from = begins[row * width + placed] ?? 0; from < placed; from += 1) {
      const part = costs.shard(row, from, placed);
      if (from === 0) {
        if (source === 0) best = { ms: part, from, last: -1, hopMs: 0 };
        continue;
      }
      if (least(source, from) === none) continue;
      for (let last = 0; last < (chained ? row : rows); last += 1) {
        const hopMs = costs.hop(last, row);
        const ms = sum(source, from, last) + hopMs + part;
        if (hopMs <= limits.partMs && ms < best.ms) best = { ms, from, last, hopMs };
      }
    }
    order.unshift(row);
    firstLayers.unshift(best.from);
    maxMs = Math.max(maxMs, best.hopMs, costs.shard(row, best.from, placed));
    if (best.last < 0) break;
    placed = best.from;
    row = best.last;
    state = source;
  }
  return { sumMs: end.sumMs, maxMs, rows: order, firstLayers };
}
