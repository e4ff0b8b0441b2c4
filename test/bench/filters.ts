/**
 * Filters over 1,000 nodes of 8 GPUs: evaluations per second, where one evaluation finds every passing node, against the
 * same condition in plain hand-written TypeScript. `node test/bench/run.js filters [--json]`
 *
 * - `hand`: a loop over the nodes; `select`: the compiled filter over the same nodes, which keep their columns between
 *   evaluations but not their results; `changed`: the same with one node replaced before each evaluation, on both sides;
 *   `passes`: the compiled filter asked about each node alone; `survey`: with the counts per refusing condition.
 * - A ratio is hand-written over compiled: below 1 the compiled filter is faster.
 */
import { compileClusterFilter, compileNodeFilter } from '../../runtime/placement/filter/index.ts';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { clusterSpec } from '../../sdk/spec/cluster.ts';

const gibibyte = 2 ** 30;
const mebibyte = 2 ** 20;
const nodeCount = 1000;
const roundMs = 150;
const rounds = 5;

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const child of Object.values(value)) freeze(child);
  return Object.freeze(value);
}

function nodeOf(at: number, instances = at % 5): NodeSnapshot {
  const gpus = Array.from({ length: 8 }, (_, index) => ({
    index,
    modelName: at % 3 === 0 ? 'NVIDIA A100' : 'NVIDIA L4',
    totalMemoryBytes: 24 * gibibyte,
    freeMemoryBytes: ((at * 7 + index * 5) % 25) * gibibyte,
    utilizationFraction: ((at * 13 + index * 29) % 100) / 100,
    sharedBy: 0,
    exclusive: false,
  }));
  const amounts = gpus.map(({ index, freeMemoryBytes }) => ({
    index,
    memoryBytes: freeMemoryBytes,
  }));
  return freeze({
    id: `node-${at}`,
    healthy: true,
    capacity: { memoryBytes: (128 + (at % 7)) * gibibyte, cpuCores: 32, gpus: amounts },
    free: { memoryBytes: ((at * 37) % 128) * gibibyte, cpuCores: at % 33, gpus: amounts },
    gpus,
    instances,
    measured: {
      atMs: 0,
      memoryUsedBytes: gibibyte,
      cpuUsedCores: 1,
      load1m: 1,
      load5m: 1,
      load15m: ((at * 11) % 64) / 2,
      processes: 100,
    },
    tags: [at % 2 === 0 ? 'production' : 'test'],
    metadata: { rack: `rack-${at % 20}` },
  });
}
// Engines settle how numbers are kept at the first objects of a shape; the nodes that are measured all have it settled.
for (let at = 0; at < 100; at += 1) nodeOf(at);

const condition = (variable: string, operator: string, value: unknown) => ({
  ...{ variable, operator, value },
});
const and = (...conditions: unknown[]) => ({ logicalOperator: 'AND', conditions });
const or = (...conditions: unknown[]) => ({ logicalOperator: 'OR', conditions });

const racks = ['rack-1', 'rack-5', 'rack-9', 'rack-13'];
const wantedRacks = new Set<unknown>(racks);
const wantedModels = new Set(['NVIDIA A100', 'NVIDIA H100']);

interface Case {
  readonly name: string;
  readonly filter: unknown;
  readonly hand: (node: NodeSnapshot) => boolean;
}

const cases: readonly Case[] = [
  {
    name: 'numeric',
    filter: {
      nodeQuery: and(
        condition('memory.freeMem', '>', 48_000),
        condition('vcpu.load15m', '<', '10'),
        condition('gpu.count', '>=', 3),
      ),
    },
    hand: (node) =>
      node.free.memoryBytes / mebibyte > 48_000 &&
      node.measured !== undefined &&
      node.measured.load15m < 10 &&
      node.gpus.length >= 3,
  },
  {
    name: 'text IN',
    filter: { nodeQuery: condition('nodeMetadata.rack', 'IN', racks) },
    hand: (node) => wantedRacks.has(node.metadata.rack),
  },
  {
    name: 'list IN',
    filter: { nodeQuery: condition('gpus.modelNames', 'IN', [...wantedModels]) },
    hand: (node) => {
      for (const gpu of node.gpus) if (wantedModels.has(gpu.modelName)) return true;
      return false;
    },
  },
  {
    name: 'nested',
    filter: {
      nodeQuery: and(
        or(condition('tags', 'IN', ['production']), condition('instances', '<', 2)),
        or(
          and(condition('vcpu.load15m', '<', 8), condition('free.cpuCores', '>=', 16)),
          and(condition('memory.freeMem', '>=', 65_536), condition('instances', '==', 0)),
        ),
      ),
    },
    hand: (node) =>
      (node.tags.includes('production') || node.instances < 2) &&
      ((node.measured !== undefined && node.measured.load15m < 8 && node.free.cpuCores >= 16) ||
        (node.free.memoryBytes / mebibyte >= 65_536 && node.instances === 0)),
  },
  {
    name: 'GPUs',
    filter: {
      gpuQuery: {
        count: 2,
        where: and(condition('freeMem', '>=', 16_384), condition('cudaUtilization', '<', 90)),
      },
    },
    hand: (node) => {
      let missing = 2;
      for (const gpu of node.gpus) {
        if (gpu.freeMemoryBytes / mebibyte >= 16_384 && gpu.utilizationFraction * 100 < 90) {
          missing -= 1;
          if (missing === 0) return true;
        }
      }
      return false;
    },
  },
];

/** Evaluations per second of each, measured in turns so that a busy moment of the machine hits all; the best round counts. */
function race<K extends string>(contenders: Readonly<Record<K, () => number>>): Record<K, number> {
  const best = Object.fromEntries(Object.keys(contenders).map((name) => [name, 0])) as Record<
    K,
    number
  >;
  for (let round = 0; round < rounds; round += 1) {
    for (const name of Object.keys(contenders) as K[]) {
      const run = contenders[name];
      const startedMs = performance.now();
      let count = 0;
      let elapsedMs = 0;
      while (elapsedMs < roundMs) {
        for (let repeat = 0; repeat < 10; repeat += 1) run();
        count += 10;
        elapsedMs = performance.now() - startedMs;
      }
      if (round > 0) best[name] = Math.max(best[name], (count / elapsedMs) * 1000);
    }
  }
  return best;
}

const nodes = Object.freeze(Array.from({ length: nodeCount }, (_, at) => nodeOf(at)));
const spares = Array.from({ length: nodeCount }, (_, at) => nodeOf(at, (at + 1) % 5));

/** The nodes with another one in one place, as after a placement; each time another place. */
function changing(list: readonly NodeSnapshot[], replacements: readonly NodeSnapshot[]) {
  let current = list;
  let place = 0;
  return () => {
    place = (place + 7) % list.length;
    const next = [...current];
    next[place] = (next[place] === list[place] ? replacements[place] : list[place]) as NodeSnapshot;
    current = Object.freeze(next);
    return current;
  };
}

function byHand(list: readonly NodeSnapshot[], passes: (node: NodeSnapshot) => boolean) {
  const found: NodeSnapshot[] = [];
  for (const node of list) if (passes(node)) found.push(node);
  return found.length;
}

const perSecond = (value: number): number => Math.round(value);
const ratio = (hand: number, ours: number): number => Number((hand / ours).toFixed(2));

const rows = cases.map(({ name, filter, hand }) => {
  const compiled = compileNodeFilter(filter);
  const passing = byHand(nodes, hand);
  const found = compiled.select(nodes).length;
  if (found !== passing || found !== byHand(nodes, compiled.passes)) {
    throw new Error(`${name}: ${found} nodes pass the filter and ${passing} the condition`);
  }
  const [nextForHand, nextForSelect, nextForSurvey] = [1, 2, 3].map(() => changing(nodes, spares));
  const speed = race({
    hand: () => byHand(nodes, hand),
    select: () => compiled.select(nodes).length,
    passes: () => byHand(nodes, compiled.passes),
    handChanged: () => byHand(nextForHand?.() ?? [], hand),
    selectChanged: () => compiled.select(nextForSelect?.() ?? []).length,
    surveyChanged: () => compiled.survey(nextForSurvey?.() ?? []).passing.length,
  });
  return {
    ...{ filter: name, passing, hand: perSecond(speed.hand), select: perSecond(speed.select) },
    ratio: ratio(speed.hand, speed.select),
    passes: perSecond(speed.passes),
    passesRatio: ratio(speed.hand, speed.passes),
    handChanged: perSecond(speed.handChanged),
    selectChanged: perSecond(speed.selectChanged),
    changedRatio: ratio(speed.handChanged, speed.selectChanged),
    surveyChanged: perSecond(speed.surveyChanged),
  };
});

/** `cluster.gpu.totalFreeMem` while one node changes before each evaluation. */
function clusterRow(count: number) {
  const all = Object.freeze(Array.from({ length: count }, (_, at) => nodeOf(at)));
  const others = Array.from({ length: count }, (_, at) => nodeOf(at, 4));
  const spec = clusterSpec.parse({ id: 'bench' });
  const { passes } = compileClusterFilter(condition('cluster.gpu.totalFreeMem', '>', 48_000));
  const [nextForHand, nextForUs] = [changing(all, others), changing(all, others)];
  const base = { id: 'bench', regionId: 'r', tags: [], metadata: {} };
  const speed = race({
    hand: () => {
      let bytes = 0;
      for (const { gpus } of nextForHand()) for (const gpu of gpus) bytes += gpu.freeMemoryBytes;
      return Number(bytes / mebibyte > 48_000);
    },
    compiled: () => Number(passes({ spec, snapshot: { ...base, nodes: nextForUs() } })),
  });
  return {
    ...{ filter: 'cluster sum', nodes: count, handChanged: perSecond(speed.hand) },
    compiledChanged: perSecond(speed.compiled),
    changedRatio: ratio(speed.hand, speed.compiled),
  };
}

const clusterRows = [1000, 5000].map(clusterRow);
if (process.argv.includes('--json')) console.log(JSON.stringify([...rows, ...clusterRows]));
else {
  console.table(rows);
  console.table(clusterRows);
}
