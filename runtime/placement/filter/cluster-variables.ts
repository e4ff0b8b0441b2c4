import type { ClusterSnapshot, GpuSnapshot, NodeSnapshot } from '../../../sdk/cluster.ts';
import { memoFrozen } from '../../../sdk/memo.ts';
import type { ClusterSpec, NodeSpec } from '../../../sdk/spec/cluster.ts';
import { mebibyte } from '../../../sdk/units.ts';
import { gpuMetrics, totalMebibytes } from './gpu-variables.ts';
import { type NodeRun, tableOf } from './node-table.ts';
import {
  addLoadAliases,
  averageOfDevices,
  deviceAverages,
  nodeAmounts,
  nodeMetrics,
} from './node-variables.ts';
import { shownElements } from './show.ts';
import type {
  ListVariable,
  NumberReader,
  Stats,
  Variable,
  VariableType,
  Vocabulary,
} from './subject.ts';
import { descend, listVariable, numberVariable, openVariable, scalarVariable } from './variable.ts';

/** What a cluster filter looks at. */
export interface FilterSubject {
  readonly spec: ClusterSpec;
  readonly snapshot: ClusterSnapshot;
}

type Test = (element: unknown) => boolean;

const averageOf = ({ count, sum }: Stats): number => sum / count;
const sumOf = ({ count, sum }: Stats): number => (count > 0 ? sum : Number.NaN);
const tableOfSubject = ({ snapshot }: FilterSubject) => tableOf(snapshot.nodes);

/** A list over all nodes or devices, run by run: a test that went through an unchanged run is not repeated. */
function runList(
  type: VariableType,
  valuesOf: (run: NodeRun) => Iterable<unknown>,
  statsOf?: (subject: FilterSubject) => Stats,
): ListVariable<FilterSubject> {
  const known = (value: unknown): boolean => value !== undefined && !Number.isNaN(value);
  const tested = new WeakMap<Test, (run: NodeRun) => boolean>();
  const someOf = (test: Test) => {
    const found = tested.get(test);
    if (found) return found;
    const some = memoFrozen((run: NodeRun): boolean => {
      for (const value of valuesOf(run)) if (test(value)) return true;
      return false;
    });
    tested.set(test, some);
    return some;
  };
  const size = (subject: FilterSubject): number => {
    let count = 0;
    for (const run of tableOfSubject(subject).runs) {
      for (const value of valuesOf(run)) if (known(value)) count += 1;
    }
    return count;
  };
  return {
    type,
    list: true,
    some: (subject, test) => tableOfSubject(subject).runs.some(someOf(test)),
    size: statsOf ? (subject) => statsOf(subject).count : size,
    ...(statsOf ? { stats: statsOf } : {}),
    read(subject) {
      const values: unknown[] = [];
      for (const run of tableOfSubject(subject).runs) {
        for (const value of valuesOf(run)) {
          if (known(value)) values.push(value);
          if (values.length === shownElements) return values;
        }
      }
      return values;
    },
  };
}

const overNodes = (read: NumberReader<NodeSnapshot>) =>
  runList(
    'number',
    (run) => run.column(read),
    (subject) => tableOfSubject(subject).stats(read),
  );
const overDevices = (read: NumberReader<GpuSnapshot>) =>
  runList(
    'number',
    ({ devices }) => devices.batch.column(read),
    (subject) => tableOfSubject(subject).deviceStats(read),
  );

/** Over the declared nodes; a document that was read does not change. */
function declared(read: (node: NodeSpec) => number | undefined): NumberReader<FilterSubject> {
  const sums = new WeakMap<readonly NodeSpec[], number>();
  return ({ spec: { nodes } }) => {
    const known = sums.get(nodes);
    if (known !== undefined) return known;
    const values = nodes.map(read).filter((value) => value !== undefined);
    const sum = values.reduce((a, b) => a + b, 0);
    const found = nodes.length > 0 && values.length === 0 ? Number.NaN : sum;
    sums.set(nodes, found);
    return found;
  };
}

/** Where the readers of documents keep what the plain form of a node has no field for. */
const inMetadata = (...path: readonly string[]) =>
  declared(({ metadata }) => {
    const value = descend(metadata, path);
    return typeof value === 'number' ? value : undefined;
  });

const text = (read: (spec: ClusterSpec) => string | undefined) =>
  scalarVariable<FilterSubject>('text', ({ spec }) => read(spec));

const table = new Map<string, Variable<FilterSubject>>([
  // The registry document: static capacity, as declared.
  ['id', text((spec) => spec.id)],
  ['clusterId', text((spec) => spec.id)],
  ['regionId', text((spec) => spec.regionId)],
  ['status', text((spec) => spec.status)],
  [
    'tags',
    listVariable(
      'text',
      ({ spec }) => spec.tags,
      (tag) => tag,
    ),
  ],
  [
    'gpus.modelNames',
    runList('text', ({ devices }) => devices.batch.things.map((gpu) => gpu.modelName)),
  ],
  ['reputation', numberVariable(({ spec }) => spec.reputation ?? Number.NaN)],
  ['nodes.count', numberVariable(({ spec }) => spec.nodes.length)],
  ['gpus.count', numberVariable(declared((node) => node.gpus.length))],
  [
    'gpus.memory',
    numberVariable((subject) => tableOfSubject(subject).deviceStats(totalMebibytes).sum),
  ],
  ['vcpus.count', numberVariable(declared((node) => node.cpuCores))],
  ['memory', numberVariable(declared((node) => node.memoryBytes / mebibyte))],
  ['swap', numberVariable(declared((node) => (node.swapBytes ?? 0) / mebibyte))],
  [
    'storage.size',
    numberVariable(
      declared(({ storageBytes }) =>
        storageBytes === undefined ? undefined : storageBytes / mebibyte,
      ),
    ),
  ],
  ['storage.disks', numberVariable(inMetadata('disks'))],
  // The metrics document: what is measured and what is promised, now.
  ['nodes', runList('things', (run) => run.things)],
  ['nodes.gpus', runList('things', ({ devices }) => devices.batch.things)],
  ['nodes.id', runList('text', (run) => run.things.map((node) => node.id))],
]);
for (const name of ['interfaces', 'txBandwidth', 'rxBandwidth']) {
  table.set(`network.${name}`, numberVariable(inMetadata('network', name)));
}
for (const [name, { read, over }] of Object.entries(nodeMetrics)) {
  const combine = over === 'sum' ? sumOf : averageOf;
  table.set(
    `cluster.${name}`,
    numberVariable((subject) => combine(tableOfSubject(subject).stats(read))),
  );
  table.set(`nodes.${name}`, overNodes(read));
}
for (const [name, read] of Object.entries(deviceAverages)) {
  table.set(
    `cluster.gpu.${name}`,
    numberVariable((subject) => averageOf(tableOfSubject(subject).deviceStats(read))),
  );
  table.set(`nodes.gpu.${name}`, overNodes(averageOfDevices(read)));
}
for (const [name, read] of Object.entries(gpuMetrics)) {
  table.set(`nodes.gpus.${name}`, overDevices(read));
}
for (const [name, { read, type }] of Object.entries(nodeAmounts)) {
  table.set(
    name,
    numberVariable((subject) => tableOfSubject(subject).stats(read).sum, type),
  );
}
addLoadAliases(table, 'cluster.');
addLoadAliases(table, 'nodes.');

/** Below these a document may hold anything. */
const openRoots: Readonly<Record<string, (spec: ClusterSpec) => unknown>> = {
  clusterMetadata: (spec) => spec.metadata,
  metadata: (spec) => spec.metadata,
  config: (spec) => spec.config,
};

export const clusterVocabulary: Vocabulary<FilterSubject> = {
  what: 'clusters',
  examples: 'cluster.memory.freeMem, gpus.count or clusterMetadata.vendor',
  listExamples: 'nodes, nodes.vcpu.load15m or nodes.gpus.freeMem',
  names: [...table.keys()],
  find(name) {
    const exact = table.get(name);
    if (exact) return exact;
    const [root = '', ...path] = name.split('.');
    const open = Object.hasOwn(openRoots, root) ? openRoots[root] : undefined;
    if (!open || path.length === 0 || path[0] === '') return undefined;
    return openVariable(({ spec }) => descend(open(spec), path));
  },
};
