import type { NodeMeasurement, NodeSnapshot } from '../../../sdk/cluster.ts';
import { mebibyte } from '../../../sdk/units.ts';
import { statsOf } from './batch.ts';
import {
  cudaPercent,
  gpuMetrics,
  power,
  temperature,
  usedBytes,
  usedPercent,
} from './gpu-variables.ts';
import type { NumberReader, Variable, Vocabulary } from './subject.ts';
import {
  descend,
  listVariable,
  numbersVariable,
  numberVariable,
  openVariable,
  scalarVariable,
} from './variable.ts';

type Read = NumberReader<NodeSnapshot>;

const measured =
  (read: (measurement: NodeMeasurement) => number | undefined): Read =>
  ({ measured: found }) =>
    (found && read(found)) ?? Number.NaN;

const measuredMebibytes = (read: (measurement: NodeMeasurement) => number | undefined): Read => {
  const bytes = measured(read);
  return (node) => bytes(node) / mebibyte;
};

const deviceSum =
  (read: (gpu: NodeSnapshot['gpus'][number]) => number): Read =>
  ({ gpus }) => {
    let total = 0;
    for (const gpu of gpus) total += read(gpu);
    return total;
  };

/** NaN where nothing is known of any. */
export const averageOfDevices =
  (read: NumberReader<NodeSnapshot['gpus'][number]>): Read =>
  ({ gpus }) => {
    const { count, sum } = statsOf(gpus, read);
    return sum / count;
  };

/** What averages over devices are taken of: a cluster's is over all its devices, not over its nodes' averages. */
export const deviceAverages: Readonly<Record<string, NumberReader<NodeSnapshot['gpus'][number]>>> =
  {
    avgMemUtilization: usedPercent,
    avgCudaUtilization: cudaPercent,
    avgTemperature: temperature,
    avgPowerUtilization: power,
  };

/**
 * AIOS's metrics of one node → field and unit, and how a cluster's value comes from its nodes': amounts are summed,
 * loads and utilizations averaged. MB are 2^20 bytes, utilizations percent.
 */
export const nodeMetrics: Readonly<
  Record<string, { readonly read: Read; readonly over: 'sum' | 'mean' }>
> = {
  'vcpu.count': { read: (node) => node.capacity.cpuCores, over: 'sum' },
  'vcpu.load1m': { read: measured((it) => it.load1m), over: 'mean' },
  'vcpu.load5m': { read: measured((it) => it.load5m), over: 'mean' },
  'vcpu.load15m': { read: measured((it) => it.load15m), over: 'mean' },
  'vcpu.totalProcesses': { read: measured((it) => it.processes), over: 'sum' },
  'memory.totalMem': { read: (node) => node.capacity.memoryBytes / mebibyte, over: 'sum' },
  'memory.freeMem': { read: (node) => node.free.memoryBytes / mebibyte, over: 'sum' },
  'memory.usedMem': { read: measuredMebibytes((it) => it.memoryUsedBytes), over: 'sum' },
  'memory.averageUtil': {
    read: ({ measured: found, capacity }) =>
      found ? (found.memoryUsedBytes / Math.max(1, capacity.memoryBytes)) * 100 : Number.NaN,
    over: 'mean',
  },
  'storage.freeMem': { read: measuredMebibytes((it) => it.storageFreeBytes), over: 'sum' },
  'storage.usedMem': { read: measuredMebibytes((it) => it.storageUsedBytes), over: 'sum' },
  'network.rxBytesTotal': { read: measured((it) => it.networkReceivedBytes), over: 'sum' },
  'network.txBytesTotal': { read: measured((it) => it.networkSentBytes), over: 'sum' },
  'gpu.count': { read: (node) => node.gpus.length, over: 'sum' },
  'gpu.totalMem': { read: deviceSum((gpu) => gpu.totalMemoryBytes / mebibyte), over: 'sum' },
  'gpu.totalFreeMem': { read: deviceSum((gpu) => gpu.freeMemoryBytes / mebibyte), over: 'sum' },
  'gpu.totalUsedMem': { read: deviceSum((gpu) => usedBytes(gpu) / mebibyte), over: 'sum' },
};

/** Our own names: bytes and cores. A cluster's value is the sum. */
export const nodeAmounts: Readonly<
  Record<string, { readonly read: Read; readonly type: 'number' | 'bytes' }>
> = {
  'free.memoryBytes': { read: (node) => node.free.memoryBytes, type: 'bytes' },
  'capacity.memoryBytes': { read: (node) => node.capacity.memoryBytes, type: 'bytes' },
  'free.gpus.memoryBytes': { read: deviceSum((gpu) => gpu.freeMemoryBytes), type: 'bytes' },
  'free.cpuCores': { read: (node) => node.free.cpuCores, type: 'number' },
  'capacity.cpuCores': { read: (node) => node.capacity.cpuCores, type: 'number' },
  instances: { read: (node) => node.instances, type: 'number' },
};

/** Names in AIOS's documentation and samples that its own metrics never had. */
export function addLoadAliases<S>(table: Map<string, Variable<S>>, prefix: string): void {
  for (const minutes of ['1m', '5m', '15m']) {
    const real = table.get(`${prefix}vcpu.load${minutes}`);
    if (!real) continue;
    table.set(`${prefix}vcpu.load_${minutes}`, real);
    if (minutes === '15m') table.set(`${prefix}vcpu.average15m`, real);
  }
}

const gpusOf = ({ gpus }: NodeSnapshot) => gpus;
const table = new Map<string, Variable<NodeSnapshot>>([
  // What is declared.
  ['id', scalarVariable('text', (node) => node.id)],
  ['nodeId', scalarVariable('text', (node) => node.id)],
  [
    'tags',
    listVariable(
      'text',
      (node) => node.tags,
      (tag) => tag,
    ),
  ],
  ['vcpus.count', numberVariable((node) => node.capacity.cpuCores)],
  ['memory', numberVariable((node) => node.capacity.memoryBytes / mebibyte)],
  ['gpus.count', numberVariable((node) => node.gpus.length)],
  ['gpus.memory', numberVariable(deviceSum((gpu) => gpu.totalMemoryBytes / mebibyte))],
  ['gpus.modelNames', listVariable('text', gpusOf, (gpu) => gpu.modelName)],
  ['gpus', listVariable('things', gpusOf, (gpu) => gpu.index)],
  // What is measured and what is promised, now.
  ['healthy', scalarVariable('truth', (node) => node.healthy)],
]);
for (const [name, { read }] of Object.entries(nodeMetrics)) table.set(name, numberVariable(read));
for (const [name, read] of Object.entries(deviceAverages)) {
  table.set(`gpu.${name}`, numberVariable(averageOfDevices(read)));
}
for (const [name, read] of Object.entries(gpuMetrics)) {
  table.set(`gpus.${name}`, numbersVariable(gpusOf, read));
}
for (const [name, { read, type }] of Object.entries(nodeAmounts)) {
  table.set(name, numberVariable(read, type));
}
addLoadAliases(table, '');

/** One variable per name, so that filters share what is known of it; names are few, and authors may invent them. */
const metadata = new Map<string, Variable<NodeSnapshot>>();
const maxMetadataNames = 500;
const metadataPrefix = /^(?:nodeMetadata|metadata)\.(?=.)/;

function find(name: string): Variable<NodeSnapshot> | undefined {
  const plain = name.replace(/^node\./, '');
  const exact = table.get(plain);
  if (exact || !metadataPrefix.test(plain)) return exact;
  const rest = plain.replace(metadataPrefix, '');
  const path = rest.split('.');
  const variable = metadata.get(rest) ?? openVariable((node) => descend(node.metadata, path));
  if (metadata.size < maxMetadataNames) metadata.set(rest, variable);
  return variable;
}

export const nodeVocabulary: Vocabulary<NodeSnapshot> = {
  what: 'nodes',
  examples: 'memory.freeMem, gpu.count, vcpu.load15m or nodeMetadata.rack',
  listExamples: 'gpus or gpus.freeMem',
  names: [...table.keys()],
  find,
};
