import type { HookInput } from '../../sdk/hooks.ts';

type Question = HookInput<'splitPlanner'>;

/** What the parts of a pipeline cost, in milliseconds a token. */
export interface Costs {
  readonly layers: number;
  readonly nodes: number;
  /** `clusterId/nodeId` of each node. */
  readonly names: readonly string[];
  readonly clusterIds: readonly string[];
  /** Bytes that decoding goes through in the layers before each, the head with the last one. */
  readonly weightsBefore: Float64Array;
  /** Bytes held by the layers before each: embedding with the first one, head with the last. */
  readonly bytesBefore: Float64Array;
  /** Beside its layers, of each shard. */
  readonly overheadBytes: number;
  readonly freeBytes: Float64Array;
  /** Of each node; infinite where it computes nothing. */
  readonly msPerByte: Float64Array;
  /** From a node to another at `from * nodes + to`; infinite from a node to itself. */
  readonly hops: Float64Array;
  /** Infinite where it does not fit. */
  shard(node: number, from: number, to: number): number;
  hop(from: number, to: number): number;
}

/** Where nobody measured, all nodes are alike. */
const assumedBytesPerSecond = 5e9;
const assumedLink = { latencyMs: 0.2, bytesPerSecond: 1e9 };

const median = (values: readonly number[], otherwise: number): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? otherwise;

/** What is not measured is as fast as the median of what is. */
export const usualSpeed = (nodes: Question['nodes']): number =>
  median(
    nodes.flatMap(({ weightBytesPerSecond: speed }) => speed ?? []),
    assumedBytesPerSecond,
  );

type Numbers = Omit<Costs, 'shard' | 'hop'>;

function withMethods(numbers: Numbers): Costs {
  const { weightsBefore, bytesBefore, overheadBytes, freeBytes, msPerByte, hops } = numbers;
  return {
    ...numbers,
    shard(node, from, to) {
      const bytes = (bytesBefore[to] ?? 0) - (bytesBefore[from] ?? 0) + overheadBytes;
      if (bytes > (freeBytes[node] ?? 0)) return Number.POSITIVE_INFINITY;
      const perByte = msPerByte[node] ?? Number.POSITIVE_INFINITY;
      if (perByte === Number.POSITIVE_INFINITY) return perByte;
      return ((weightsBefore[to] ?? 0) - (weightsBefore[from] ?? 0)) * perByte;
    },
    hop: (from, to) => hops[from * numbers.nodes + to] ?? 0,
  };
}

/** Sums of what comes before each layer, and of all. */
function sums(values: readonly number[]): Float64Array {
  const before = new Float64Array(values.length + 1);
  for (const [at, value] of values.entries()) before[at + 1] = (before[at] ?? 0) + value;
  return before;
}

function hopTable({ model, nodes, links = [] }: Question, names: readonly string[]): Float64Array {
  const activationBytes = model.activationBytes ?? 0;
  const ms = (latencyMs: number, bytesPerSecond: number): number =>
    latencyMs + (activationBytes > 0 ? (activationBytes / bytesPerSecond) * 1000 : 0);
  const usual = ms(
    median(
      links.map(({ latencyMs }) => latencyMs),
      assumedLink.latencyMs,
    ),
    median(
      links.map(({ bytesPerSecond }) => bytesPerSecond),
      assumedLink.bytesPerSecond,
    ),
  );
  const count = nodes.length;
  const hops = new Float64Array(count * count).fill(usual);
  const rows = new Map(names.map((name, at) => [name, at]));
  for (const { between, latencyMs, bytesPerSecond } of links) {
    const [a, b] = [rows.get(between[0]), rows.get(between[1])];
    if (a === undefined || b === undefined) continue;
    hops[a * count + b] = ms(latencyMs, bytesPerSecond);
    hops[b * count + a] = ms(latencyMs, bytesPerSecond);
  }
  for (let node = 0; node < count; node += 1) hops[node * count + node] = Number.POSITIVE_INFINITY;
  return hops;
}

/** @param question - of the hook; what is not measured is taken as the median of what is */
export function pipelineCosts(question: Question): Costs {
  const { model, nodes } = question;
  const { layers, headBytes, embeddingBytes } = model;
  const head = (at: number): number => (at === layers.length - 1 ? headBytes : 0);
  const usual = usualSpeed(nodes);
  const names = nodes.map(({ clusterId, nodeId }) => `${clusterId}/${nodeId}`);
  return withMethods({
    ...{ layers: layers.length, nodes: nodes.length, names },
    clusterIds: nodes.map(({ clusterId }) => clusterId),
    weightsBefore: sums(layers.map(({ residentBytes }, at) => residentBytes + head(at))),
    bytesBefore: sums(
      layers.map(
        ({ residentBytes, kvBytes }, at) =>
          residentBytes + kvBytes + head(at) + (at === 0 ? embeddingBytes : 0),
      ),
    ),
    overheadBytes: model.overheadBytes,
    freeBytes: Float64Array.from(nodes, ({ freeMemoryBytes }) => freeMemoryBytes),
    msPerByte: Float64Array.from(nodes, ({ weightBytesPerSecond: speed = usual }) =>
      speed > 0 ? 1000 / speed : Number.POSITIVE_INFINITY,
    ),
    hops: hopTable(question, names),
  });
}

/** The same from the last layer to the first: what a pipeline costs from one of its ends it costs from the other. */
export function reversed(costs: Costs): Costs {
  const mirror = (before: Float64Array): Float64Array =>
    Float64Array.from(before, (_, at) => (before.at(-1) ?? 0) - (before.at(-1 - at) ?? 0));
  return withMethods({
    ...costs,
    weightsBefore: mirror(costs.weightsBefore),
    bytesBefore: mirror(costs.bytesBefore),
  });
}

/** Neighbouring layers as one. @param firstLayers - of each unit, ascending from 0 */
export function inUnits(costs: Costs, firstLayers: readonly number[]): Costs {
  const pick = (before: Float64Array): Float64Array =>
    Float64Array.from([...firstLayers, costs.layers], (layer) => before[layer] ?? 0);
  return withMethods({
    ...{ ...costs, layers: firstLayers.length },
    weightsBefore: pick(costs.weightsBefore),
    bytesBefore: pick(costs.bytesBefore),
  });
}

/** Some of the nodes. */
export function ofNodes(costs: Costs, nodes: readonly number[]): Costs {
  const pick = (values: Float64Array): Float64Array =>
    Float64Array.from(nodes, (node) => values[node] ?? 0);
  const hops = new Float64Array(nodes.length ** 2);
  for (let from = 0; from < nodes.length; from += 1) {
    const row = (nodes[from] ?? 0) * costs.nodes;
    for (let to = 0; to < nodes.length; to += 1) {
      hops[from * nodes.length + to] = costs.hops[row + (nodes[to] ?? 0)] ?? 0;
    }
  }
  return withMethods({
    ...{ ...costs, nodes: nodes.length },
    names: nodes.map((node) => costs.names[node] ?? ''),
    clusterIds: nodes.map((node) => costs.clusterIds[node] ?? ''),
    freeBytes: pick(costs.freeBytes),
    msPerByte: pick(costs.msPerByte),
    hops,
  });
}
