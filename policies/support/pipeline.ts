import { nodeOrders } from './node-orders.ts';
import { type Costs, inUnits, ofNodes } from './pipeline-costs.ts';
import {
  alike,
  type Find,
  improve,
  type Pipeline,
  type Search,
  searchOf,
} from './pipeline-search.ts';
import { type Space, spent, type Work } from './pipeline-table.ts';
import { shortest } from './shortest-pipeline.ts';

export { type Costs, pipelineCosts } from './pipeline-costs.ts';
export type { Pipeline } from './pipeline-search.ts';

/** What was found, and whether there is none faster. */
export interface Fastest extends Pipeline {
  readonly isProven: boolean;
  /** Steps that the search took. */
  readonly work: number;
}

/** So many nodes are searched to the end, whatever it takes. */
export const searchedNodes = 12;
/** More nodes are searched while no more of them than this turn out to matter, and no longer than this. */
const mattering = 16;
const searchSteps = 7e6;
/** Layers that are cut apart: of more, neighbours go together. */
const searchedLayers = 64;
/** Where no cut of those fits. */
const finestLayers = 256;
/** Halvings on the way to a slowest part that takes least. */
const evenings = 20;

/** The best of an order, any of its nodes left out. */
function alongOrder(search: Search, order: readonly number[], known?: Pipeline) {
  const { costs, readers, shards, floorMs, work, missing } = search;
  const { nodes } = costs;
  const ordered = ofNodes(costs, order);
  const space: Space = { chained: true, bits: [], ...(shards === undefined ? {} : { shards }) };
  const missingMs = new Float64Array((costs.layers + 1) * order.length);
  for (let at = 0; at < missingMs.length; at += 1) {
    const node = order[at % order.length] ?? 0;
    missingMs[at] = missing.afterMs[Math.floor(at / order.length) * nodes + node] ?? 0;
  }
  const find: Find = (limits) => {
    const found = shortest(ordered, space, { ...limits, missingMs }, work);
    if (!found || found === spent) return found;
    return { ...found, rows: found.rows.map((row) => order[row] ?? 0) };
  };
  return improve(ordered, find, readers, floorMs, known).best;
}

function alongOrders(search: Search): Pipeline | undefined {
  let best: Pipeline | undefined;
  for (const order of nodeOrders(search.costs)) {
    best = alongOrder(search, order, best);
    if (best && best.periodMs * (1 - alike) < search.floorMs) break;
  }
  return best;
}

/**
 * Every order of every choice of nodes. Nodes may first be used any number of times, which is quick to search; those that
 * were used twice where that is fastest may then be used once only, until none is used twice.
 */
function everyOrder({ costs, work, shards, missing }: Search): Find {
  const { nodes } = costs;
  const bits = new Array<number>(nodes).fill(0);
  let used = 0;
  const once = (row: number): void => {
    if (bits[row] !== 0) return;
    bits[row] = 1 << used;
    used += 1;
  };
  const all = (): void => {
    for (let row = 0; row < nodes; row += 1) once(row);
  };
  if (shards !== undefined) all();
  const count = shards === undefined ? {} : { shards };
  return (limits) => {
    for (;;) {
      const space = { chained: false, bits, ...count };
      const found = shortest(costs, space, { ...limits, missingMs: missing.afterMs }, work);
      if (found === undefined || found === spent) return found;
      const twice = found.rows.filter((row, at) => found.rows.indexOf(row) < at);
      if (twice.length === 0) return found;
      if (used + new Set(twice).size > mattering) return spent;
      for (const row of twice) once(row);
      // Nodes that are used once have room to tell of: where most are, all may as well be.
      if (nodes <= mattering && used > nodes / 2) all();
    }
  };
}

/** Of pipelines along the same nodes that are as fast, the one whose slowest part takes least: others may share its nodes. */
function evened(search: Search, best: Pipeline): Pipeline {
  const { costs, readers, work } = search;
  if (best.sumMs / readers <= best.maxMs || best.nodes.length === 1) return best;
  const ordered = ofNodes(costs, best.nodes);
  const space: Space = { chained: true, bits: [], shards: best.nodes.length };
  const sumMs = best.periodMs * (1 + alike) * readers;
  let evenest = best;
  let low = 0;
  for (let step = 0; step < evenings && low < evenest.maxMs; step += 1) {
    const partMs = (low + evenest.maxMs) / 2;
    const found = shortest(ordered, space, { partMs, sumMs }, work);
    if (found && found !== spent) {
      evenest = { ...best, firstLayers: found.firstLayers, sumMs: found.sumMs, maxMs: found.maxMs };
    } else low = partMs;
  }
  return { ...evenest, periodMs: Math.max(evenest.sumMs / readers, evenest.maxMs) };
}

/** Neighbouring layers as one, in parts of which there are no more than `most`. */
function coarser(costs: Costs, most: number) {
  const size = Math.ceil(costs.layers / most);
  const count = size === 0 ? 0 : Math.ceil(costs.layers / size);
  const firstLayers = Array.from({ length: count }, (_, unit) => unit * size);
  return { costs: size <= 1 ? costs : inUnits(costs, firstLayers), firstLayers };
}

/**
 * The pipeline with the shortest time between two tokens of all readers together. With as many readers as keep every part
 * busy that is its slowest part; one reader waits for the sum of them. In between, `max(sum / readers, slowest)`.
 *
 * What is promised, each to a few millionths, and of models of more than 64 layers for cuts into 64 parts:
 * - Up to 12 nodes none is faster, so that a node more never makes it slower.
 * - Of more nodes none is faster where `isProven`: a node more makes nothing slower where it is proven with that node.
 * - In any case it is as fast as the best along any of ten orders in which nodes stand for what they are themselves, any nodes
 *   left out; a node more makes that best never slower, nor impossible. Every pipeline of one or two shards is among them.
 *
 * The work is bounded, and counted: the same question has the same answer on every machine. It grows with
 * nodes² · layers; from 13 nodes on the search beyond the orders ends after seven million steps.
 *
 * @param shards - exactly so many, where somebody asked for them; of more than 12 nodes along the orders alone
 * @returns nothing where the model does not fit
 */
export function fastestPipeline(
  costs: Costs,
  readers: number,
  shards?: number,
): Fastest | undefined {
  const work: Work = { done: 0, most: Number.POSITIVE_INFINITY };
  const { costs: units, firstLayers } = coarser(costs, searchedLayers);
  const along = searchOf(units, readers, shards, work, Number.POSITIVE_INFINITY);
  let best = alongOrders(along);
  let isProven = best !== undefined && best.periodMs * (1 - alike) < along.floorMs;
  const isSmall = costs.nodes <= searchedNodes;
  if (!isProven && (isSmall || shards === undefined)) {
    const most = isSmall ? Number.POSITIVE_INFINITY : work.done + searchSteps;
    const budget = { ...work, most };
    const aimMs = best?.periodMs ?? Number.POSITIVE_INFINITY;
    const search = searchOf(units, readers, shards, budget, aimMs);
    ({ best, isProven } = improve(units, everyOrder(search), readers, search.floorMs, best));
    work.done = budget.done;
  }
  if (best) {
    const cut = evened(along, best);
    const from = cut.firstLayers.map((unit) => firstLayers[unit] ?? 0);
    return { ...cut, firstLayers: from, isProven, work: work.done };
  }
  if (costs.layers <= searchedLayers) return undefined;
  const finer = coarser(costs, finestLayers);
  const found = alongOrders(searchOf(finer.costs, readers, shards, work, Number.POSITIVE_INFINITY));
  if (!found) return undefined;
  const from = found.firstLayers.map((unit) => finer.firstLayers[unit] ?? 0);
  return { ...found, firstLayers: from, isProven: false, work: work.done };
}

/** The fastest along these nodes in this order, any of them left out. */
export function fastestAlong(
  costs: Costs,
  order: readonly number[],
  readers: number,
): Pipeline | undefined {
  const { costs: units, firstLayers } = coarser(costs, finestLayers);
  const work: Work = { done: 0, most: Number.POSITIVE_INFINITY };
  const search = searchOf(units, readers, undefined, work, Number.POSITIVE_INFINITY);
  const found = alongOrder(search, order);
  return (
    found && { ...found, firstLayers: found.firstLayers.map((unit) => firstLayers[unit] ?? 0) }
  );
}
