import type {
  ClusterSnapshot,
  GpuSnapshot,
  NodeMeasurement,
  NodeSnapshot,
} from '../../../sdk/cluster.ts';
import { memoFrozen } from '../../../sdk/memo.ts';
import type { ClusterSpec } from '../../../sdk/spec/cluster.ts';
import { mebibyte } from '../../../sdk/units.ts';

/** What a cluster filter looks at. */
export interface FilterSubject {
  readonly spec: ClusterSpec;
  readonly snapshot: ClusterSnapshot;
}

/**
 * What a value of a condition must be: `bytes` also takes text such as `'2Gi'`, `any` is compared with whatever is found,
 * `things` can only be counted.
 */
export type VariableType = 'number' | 'bytes' | 'text' | 'any' | 'things';

export interface Variable {
  readonly type: VariableType;
  /** Gives a list: a condition holds when it holds for any element, and aggregates look at all of them. */
  readonly list: boolean;
  /** Nothing where it is not known (yet). */
  readonly read: (subject: FilterSubject) => unknown;
}

type Reader<T> = (of: T) => number | undefined;

function sum(values: readonly number[]): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
const mean = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : sum(values) / values.length;

function known<T>(things: readonly T[], read: Reader<T>): number[] {
  const values: number[] = [];
  for (const thing of things) {
    const value = read(thing);
    if (value !== undefined) values.push(value);
  }
  return values;
}

const inMebibytes =
  <T>(read: Reader<T>): Reader<T> =>
  (of) => {
    const bytes = read(of);
    return bytes === undefined ? undefined : bytes / mebibyte;
  };
const inPercent =
  <T>(read: Reader<T>): Reader<T> =>
  (of) => {
    const fraction = read(of);
    return fraction === undefined ? undefined : fraction * 100;
  };

const measured =
  (read: (measurement: NodeMeasurement) => number | undefined): Reader<NodeSnapshot> =>
  (node) =>
    node.measured && read(node.measured);

const devices =
  (
    combine: (values: readonly number[]) => number | undefined,
    read: Reader<GpuSnapshot>,
  ): Reader<NodeSnapshot> =>
  (node) =>
    combine(known(node.gpus, read));

/** A filter may look at thousands of devices before each placement: each node's sum is kept while the node is the same. */
const deviceSum = (read: (gpu: GpuSnapshot) => number): Reader<NodeSnapshot> => {
  const total = memoFrozen((gpus: readonly GpuSnapshot[]) => {
    let bytes = 0;
    for (const gpu of gpus) bytes += read(gpu);
    return bytes;
  });
  return (node) => total(node.gpus);
};

const usedBytes = (gpu: GpuSnapshot): number => gpu.totalMemoryBytes - gpu.freeMemoryBytes;
const usedFraction = (gpu: GpuSnapshot): number =>
  usedBytes(gpu) / Math.max(1, gpu.totalMemoryBytes);

/**
 * AIOS's metrics of one node → field and unit, and how a cluster's value comes from its nodes': amounts are summed,
 * loads and utilizations averaged. MB are 2^20 bytes, utilizations percent.
 */
const nodeMetrics: Readonly<
  Record<string, { readonly read: Reader<NodeSnapshot>; readonly over: typeof mean }>
> = {
  'vcpu.count': { read: (node) => node.capacity.cpuCores, over: sum },
  'vcpu.load1m': { read: measured((it) => it.load1m), over: mean },
  'vcpu.load5m': { read: measured((it) => it.load5m), over: mean },
  'vcpu.load15m': { read: measured((it) => it.load15m), over: mean },
  'vcpu.totalProcesses': { read: measured((it) => it.processes), over: sum },
  'memory.totalMem': { read: inMebibytes((node) => node.capacity.memoryBytes), over: sum },
  'memory.freeMem': { read: inMebibytes((node) => node.free.memoryBytes), over: sum },
  'memory.usedMem': { read: inMebibytes(measured((it) => it.memoryUsedBytes)), over: sum },
  'memory.averageUtil': {
    read: inPercent((node) =>
      node.measured
        ? node.measured.memoryUsedBytes / Math.max(1, node.capacity.memoryBytes)
        : undefined,
    ),
    over: mean,
  },
  'storage.freeMem': { read: inMebibytes(measured((it) => it.storageFreeBytes)), over: sum },
  'storage.usedMem': { read: inMebibytes(measured((it) => it.storageUsedBytes)), over: sum },
  'network.rxBytesTotal': { read: measured((it) => it.networkReceivedBytes), over: sum },
  'network.txBytesTotal': { read: measured((it) => it.networkSentBytes), over: sum },
  'gpu.count': { read: (node) => node.gpus.length, over: sum },
  'gpu.totalMem': { read: inMebibytes(deviceSum((it) => it.totalMemoryBytes)), over: sum },
  'gpu.totalFreeMem': { read: inMebibytes(deviceSum((it) => it.freeMemoryBytes)), over: sum },
  'gpu.totalUsedMem': { read: inMebibytes(deviceSum(usedBytes)), over: sum },
};

/** Averages over devices: a cluster's is over all its devices, not over its nodes' averages. */
const deviceMetrics: Readonly<Record<string, Reader<GpuSnapshot>>> = {
  avgMemUtilization: inPercent(usedFraction),
  avgCudaUtilization: inPercent((it) => it.utilizationFraction),
  avgTemperature: (it) => it.temperatureCelsius,
  avgPowerUtilization: (it) => it.powerWatts,
};

/** Of each device: `nodes.gpus.*`. */
const eachDevice: Readonly<Record<string, Reader<GpuSnapshot>>> = {
  gpu_id: (it) => it.index,
  totalMem: inMebibytes((it) => it.totalMemoryBytes),
  freeMem: inMebibytes((it) => it.freeMemoryBytes),
  usedMem: inMebibytes(usedBytes),
  memUtilization: inPercent(usedFraction),
  cudaUtilization: inPercent((it) => it.utilizationFraction),
  powerUtilization: (it) => it.powerWatts,
  temperature: (it) => it.temperatureCelsius,
};

type Read = (subject: FilterSubject) => unknown;

function descend(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string, unknown>)[key];
  }
  return at;
}

const table = new Map<string, Variable>();
const one = (type: VariableType, name: string, read: Read): void => {
  table.set(name, { type, list: false, read });
};
const many = (type: VariableType, name: string, read: Read): void => {
  table.set(name, { type, list: true, read });
};

const nodesOf = ({ snapshot }: FilterSubject): readonly NodeSnapshot[] => snapshot.nodes;
const devicesOf = (subject: FilterSubject): readonly GpuSnapshot[] =>
  nodesOf(subject).flatMap((node) => node.gpus);
/** A sum over the nodes' metadata, where the readers keep what the plain form has no field for. */
const metadataSum =
  (...path: readonly string[]): Read =>
  ({ spec }) => {
    const values = known(spec.nodes, ({ metadata }) => {
      const value = descend(metadata, path);
      return typeof value === 'number' ? value : undefined;
    });
    return values.length > 0 ? sum(values) : undefined;
  };

// The registry document: static capacity, as declared.
one('text', 'id', ({ spec }) => spec.id);
one('text', 'clusterId', ({ spec }) => spec.id);
one('text', 'regionId', ({ spec }) => spec.regionId);
one('text', 'status', ({ spec }) => spec.status);
many('text', 'tags', ({ spec }) => spec.tags);
many('text', 'gpus.modelNames', (subject) => devicesOf(subject).map((gpu) => gpu.modelName));
one('number', 'reputation', ({ spec }) => spec.reputation);
one('number', 'nodes.count', ({ spec }) => spec.nodes.length);
one('number', 'gpus.count', ({ spec }) => sum(spec.nodes.map((node) => node.gpus.length)));
one(
  'number',
  'gpus.memory',
  (subject) => sum(devicesOf(subject).map((gpu) => gpu.totalMemoryBytes)) / mebibyte,
);
one('number', 'vcpus.count', ({ spec }) => sum(spec.nodes.map((node) => node.cpuCores)));
one('number', 'memory', ({ spec }) => sum(spec.nodes.map((node) => node.memoryBytes)) / mebibyte);
one('number', 'swap', ({ spec }) => sum(spec.nodes.map((node) => node.swapBytes ?? 0)) / mebibyte);
one('number', 'storage.size', ({ spec }) => {
  const sizes = known(spec.nodes, (node) => node.storageBytes);
  return sizes.length > 0 ? sum(sizes) / mebibyte : undefined;
});
one('number', 'storage.disks', metadataSum('disks'));
for (const name of ['interfaces', 'txBandwidth', 'rxBandwidth']) {
  one('number', `network.${name}`, metadataSum('network', name));
}

// The metrics document: what is measured and what is promised, now.
for (const [name, { read, over }] of Object.entries(nodeMetrics)) {
  one('number', `cluster.${name}`, (subject) => {
    const values = known(nodesOf(subject), read);
    return values.length > 0 ? over(values) : undefined;
  });
  many('number', `nodes.${name}`, (subject) => known(nodesOf(subject), read));
}
for (const [name, read] of Object.entries(deviceMetrics)) {
  one('number', `cluster.gpu.${name}`, (subject) => mean(known(devicesOf(subject), read)));
  many('number', `nodes.gpu.${name}`, (subject) => known(nodesOf(subject), devices(mean, read)));
}
for (const [name, read] of Object.entries(eachDevice)) {
  many('number', `nodes.gpus.${name}`, (subject) => known(devicesOf(subject), read));
}
many('things', 'nodes', nodesOf);
many('things', 'nodes.gpus', devicesOf);
many('text', 'nodes.id', (subject) => nodesOf(subject).map((node) => node.id));

// Our own names: bytes and cores.
const total =
  (read: Reader<NodeSnapshot>): Read =>
  (subject) =>
    sum(known(nodesOf(subject), read));
one(
  'bytes',
  'free.memoryBytes',
  total((node) => node.free.memoryBytes),
);
one(
  'bytes',
  'capacity.memoryBytes',
  total((node) => node.capacity.memoryBytes),
);
one('bytes', 'free.gpus.memoryBytes', total(deviceSum((gpu) => gpu.freeMemoryBytes)));
one(
  'number',
  'free.cpuCores',
  total((node) => node.free.cpuCores),
);
one(
  'number',
  'capacity.cpuCores',
  total((node) => node.capacity.cpuCores),
);
one(
  'number',
  'instances',
  total((node) => node.instances),
);

/** Names in AIOS's documentation and samples that its own metrics never had. */
for (const scope of ['cluster', 'nodes']) {
  for (const minutes of ['1m', '5m', '15m']) {
    const real = table.get(`${scope}.vcpu.load${minutes}`);
    if (real) table.set(`${scope}.vcpu.load_${minutes}`, real);
  }
  const quarter = table.get(`${scope}.vcpu.load15m`);
  if (quarter) table.set(`${scope}.vcpu.average15m`, quarter);
}

/** Below these a document may hold anything. */
const openPrefixes: Readonly<Record<string, Read>> = {
  'clusterMetadata.': ({ spec }) => spec.metadata,
  'metadata.': ({ spec }) => spec.metadata,
  'config.': ({ spec }) => spec.config,
};

/** The one table of AIOS variable paths. @returns nothing for a name that means nothing */
export function findVariable(name: string): Variable | undefined {
  const exact = table.get(name);
  if (exact) return exact;
  for (const [prefix, root] of Object.entries(openPrefixes)) {
    if (!name.startsWith(prefix) || name.length === prefix.length) continue;
    const path = name.slice(prefix.length).split('.');
    return { type: 'any', list: false, read: (subject) => descend(root(subject), path) };
  }
  return undefined;
}

export const variableNames: readonly string[] = [...table.keys()];
