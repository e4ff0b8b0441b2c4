import type { NodeSnapshot } from '../../../sdk/cluster.ts';
import type { Problem } from '../../../sdk/errors.ts';
import { nearest } from '../../../sdk/nearest.ts';
import { clusterVocabulary, type FilterSubject } from './cluster-variables.ts';
import { all } from './condition.ts';
import { type GpuQuery, onDevices, readGpuQuery } from './gpu-query.ts';
import { nodeVocabulary } from './node-variables.ts';
import { ConditionReader, isFields, Reading } from './reader.ts';
import { showJson } from './show.ts';
import type { Condition } from './subject.ts';

/** Metrics first, as in AIOS. */
const clusterKeys = ['clusterMetricsQuery', 'clusterQuery'];
const nodeKeys = ['nodeMetricsQuery', 'nodeQuery'];
const gpuKey = 'gpuQuery';
const keys = [...clusterKeys, ...nodeKeys, gpuKey];

const unsupported = new Set([
  'blockQuery',
  'blockMetricsQuery',
  'vdagQuery',
  'vdagMetricsQuery',
  'componentQuery',
  'policyQuery',
  'policyFunctionQuery',
  'policyGraphQuery',
]);
const conditionKeys = ['variable', 'logicalOperator', 'aggOperator', 'conditions'];

/** A filter for placing, compiled for each level that it speaks of. */
export interface PlacementFilter {
  readonly cluster: Condition<FilterSubject>;
  readonly node: Condition<NodeSnapshot>;
  readonly gpu?: GpuQuery;
  readonly problems: readonly Problem[];
}

/** What one condition that stands alone is about. */
export type Subject = 'cluster' | 'node' | 'gpu';

/** Reads `{clusterQuery, clusterMetricsQuery, nodeQuery, nodeMetricsQuery, gpuQuery}`, or one condition alone. */
export function readPlacementFilter(
  filter: unknown,
  path: string,
  alone: Subject = 'cluster',
): PlacementFilter {
  const reading = new Reading();
  const { problems } = reading;
  const clusters = new ConditionReader(clusterVocabulary, reading);
  const nodes = new ConditionReader(nodeVocabulary, reading);
  const empty = { cluster: all<FilterSubject>([]), node: all<NodeSnapshot>([]), problems };
  if (filter === undefined || filter === null) return empty;
  if (!isFields(filter)) {
    const expected = 'an object with clusterQuery, nodeQuery or gpuQuery';
    reading.refuse(path, { message: 'is no filter', expected, seen: showJson(filter) });
    return empty;
  }
  if (conditionKeys.some((key) => Object.hasOwn(filter, key))) {
    if (alone === 'cluster') {
      return { ...empty, cluster: clusters.read(filter, path) ?? empty.cluster };
    }
    if (alone === 'node') return { ...empty, node: nodes.read(filter, path) ?? empty.node };
    const gpu = readGpuQuery(filter, path, reading);
    return { ...empty, node: onDevices(gpu), gpu };
  }
  const given = (names: readonly string[]) => names.filter((key) => Object.hasOwn(filter, key));
  const read = <S>(reader: ConditionReader<S>, names: readonly string[]) =>
    all(given(names).flatMap((key) => reader.read(filter[key], `${path}.${key}`) ?? []));
  const cluster = read(clusters, clusterKeys);
  const node = read(nodes, nodeKeys);
  const gpu = Object.hasOwn(filter, gpuKey)
    ? readGpuQuery(filter[gpuKey], `${path}.${gpuKey}`, reading)
    : undefined;
  for (const key of Object.keys(filter)) {
    if (keys.includes(key)) continue;
    const foreign = unsupported.has(key);
    const close = foreign ? undefined : nearest(key, keys);
    reading.refuse(`${path}.${key}`, {
      message: foreign
        ? `'${key}' is not supported: a filter for placing looks at clusters, nodes and GPUs`
        : `'${key}' is not a key here`,
      expected: `one of: ${keys.join(', ')}`,
      ...(close === undefined ? {} : { nearest: close }),
    });
  }
  if (!gpu) return { cluster, node, problems };
  const parts = given(nodeKeys).length > 0 ? [node, onDevices(gpu)] : [onDevices(gpu)];
  return { cluster, node: all(parts), gpu, problems };
}
