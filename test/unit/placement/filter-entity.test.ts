import { describe, expect, it } from 'vitest';
import {
  checkEntityFilter,
  compileEntityFilter,
  type MatchType,
} from '../../../runtime/placement/filter/index.ts';
import { clusterSpec } from '../../../sdk/spec/cluster.ts';
import { and, condition, node, or } from './filter-nodes.ts';

const spec = clusterSpec.parse({ id: 'west', regionId: 'us-west-2', metadata: { vendor: 'x' } });
const cluster = {
  spec,
  snapshot: { id: 'west', regionId: 'us-west-2', tags: [], metadata: {}, nodes: [node('n')] },
};
const document = {
  id: 'mistral-chat-88',
  componentUri: 'model.mistral7b-chat:2.0.0-stable',
  minInstances: 1,
  maxInstances: 3,
  resources: { memoryBytes: 2 ** 31, cpuCores: 2, gpus: [{ memoryBytes: 2 ** 34 }] },
  settings: { mode: 'fast' },
  tags: ['chat'],
};
const metrics = {
  blockId: 'mistral-chat-88',
  instances: [
    { instanceId: 'executor', tasks_processed: { tasks_processed_total: 120 } },
    { instanceId: 'in-1', on_data_fps: 4, queue_length: { current: 3 } },
    { instanceId: 'in-2', on_data_fps: 8, queue_length: { current: 9 } },
  ],
};
const block = { document, metrics, cluster };

const agg = (aggOperator: string, target: string) => ({ aggOperator, target });

describe('queries over blocks', () => {
  it.each([
    ['blockQuery', condition('id', 'LIKE', 'mistral-*')],
    ['blockQuery', condition('blockComponentURI', 'LIKE', 'model.*')],
    ['blockQuery', condition('minInstances', '>=', '1')],
    ['blockQuery', condition('resources.memoryBytes', '<=', '2Gi')],
    ['blockQuery', condition('resources.gpus.memoryBytes', '>', '1000')],
    ['blockQuery', condition('initSettings.mode', '==', 'fast')],
    ['blockQuery', condition('tags', 'IN', ['chat', 'x'])],
    ['blockQuery', condition('cluster.regionId', '==', 'us-west-2')],
    ['blockQuery', condition('parameters.absent', '!=', 1)],
    ['blockMetricsQuery', condition('instances.on_data_fps', '>', '7')],
    ['blockMetricsQuery', condition('instances.queue_length.current', '!=', 4)],
    ['blockMetricsQuery', { ...agg('avg', 'instances.on_data_fps'), operator: '==', value: '6' }],
    ['blockMetricsQuery', { ...agg('count', 'instances'), operator: '==', value: 3 }],
    [
      'blockMetricsQuery',
      { ...agg('max', 'instances.queue_length.current'), operator: '<', value: 10 },
    ],
    [
      'blockMetricsQuery',
      or(condition('blockId', '==', 'x'), condition('instances.instanceId', 'LIKE', 'in-')),
    ],
    ['clusterQuery', condition('clusterMetadata.vendor', '==', 'x')],
    ['clusterMetricsQuery', condition('cluster.memory.freeMem', '>', 1)],
  ])('%s holds: %j', (key, query) => {
    expect(compileEntityFilter('block', { [key]: query }).test(block)).toBeUndefined();
  });

  it('asks the cluster first, then the metrics, then the block', () => {
    const filter = {
      blockQuery: condition('id', '==', 'other'),
      blockMetricsQuery: condition('instances.on_data_fps', '>', 100),
      clusterQuery: condition('regionId', '==', 'eu'),
    };
    const refusal = (keys: readonly (keyof typeof filter)[]) =>
      compileEntityFilter('block', Object.fromEntries(keys.map((key) => [key, filter[key]]))).test(
        block,
      );

    expect(refusal(['blockQuery', 'blockMetricsQuery', 'clusterQuery'])).toEqual({
      refusedBy: 'regionId == eu',
      seen: 'us-west-2',
    });
    expect(refusal(['blockQuery', 'blockMetricsQuery'])).toEqual({
      refusedBy: 'instances.on_data_fps > 100',
      seen: '[4, 8]',
    });
    expect(refusal(['blockQuery'])?.seen).toBe('mistral-chat-88');
  });

  it('refuses a block that runs nowhere, or of which nothing was measured', () => {
    const onCluster = compileEntityFilter('block', { clusterQuery: condition('id', '!=', 'x') });
    const onMetrics = compileEntityFilter('block', {
      blockMetricsQuery: condition('instances.on_data_fps', '<', 5),
    });

    expect(onCluster.test({ document })?.seen).toBe('on no cluster');
    expect(onMetrics.test({ document })?.seen).toBe('not known');
  });

  it('reads a status as its spec', () => {
    const status = { spec: document, state: 'running', clusterId: 'west', instances: [] };
    const filter = compileEntityFilter('block', {
      blockQuery: and(
        condition('id', '==', 'mistral-chat-88'),
        condition('state', '==', 'running'),
        condition('cluster.id', '==', 'west'),
      ),
    });

    expect(filter.passes({ document: status })).toBe(true);
  });
});

describe('queries over other things', () => {
  it.each<[MatchType, unknown, unknown]>([
    ['cluster', { clusterQuery: condition('id', '==', 'west') }, {}],
    [
      'vdag',
      {
        vdagMetricsQuery: condition('inference_fps', '>', '2'),
        vdagQuery: condition('vdagURI', 'LIKE', 'pose'),
      },
      { uri: 'pose:1-stable' },
    ],
    [
      'vdag',
      condition('nodes.blockId', 'IN', ['b']),
      { nodes: [{ blockId: 'a' }, { blockId: 'b' }] },
    ],
    [
      'component',
      { componentQuery: condition('metadata.author', '==', 'x') },
      { metadata: { author: 'x' } },
    ],
    ['policy', { policyQuery: condition('tags', 'LIKE', 'gpu') }, { tags: 'cpu,gpu' }],
    [
      'policyFunction',
      { policyFunctionQuery: condition('function_id', '==', 'f') },
      { function_id: 'f' },
    ],
    [
      'policyGraph',
      { policyGraphQuery: { ...agg('count', 'graph_function_ids'), operator: '>', value: 1 } },
      { graph_function_ids: ['a', 'b'] },
    ],
  ])('%s: %j', (matchType, filter, thing) => {
    const subject = { document: thing, cluster, metrics: { inference_fps: 3.5 } };

    expect(compileEntityFilter(matchType, filter).test(subject)).toBeUndefined();
  });

  it('let everything pass where they are empty', () => {
    for (const filter of [undefined, null, {}]) {
      expect(compileEntityFilter('vdag', filter).passes({ document: {} })).toBe(true);
    }
  });

  it.each<[MatchType, unknown, string, string | undefined]>([
    [
      'block',
      { blockQuery: condition('minInstance', '>', 1) },
      '$.blockQuery.variable',
      'minInstances',
    ],
    [
      'block',
      { blockMetricsQuery: condition('instance.x', '>', 1) },
      '$.blockMetricsQuery.variable',
      undefined,
    ],
    ['block', { blockQuery: condition('minInstances', '>', 'x') }, '$.blockQuery.value', undefined],
    [
      'vdag',
      { vdagMetricsQuery: condition('inference_fsp', '>', 1) },
      '$.vdagMetricsQuery.variable',
      'inference_fps',
    ],
    ['component', { componentsQuery: {} }, '$.componentsQuery', 'componentQuery'],
    ['policy', { blockQuery: condition('id', '==', 'x') }, '$.blockQuery', undefined],
    ['cluster', 7, '$', undefined],
    [
      'block',
      { blockQuery: condition('settings..x', '==', 1) },
      '$.blockQuery.variable',
      undefined,
    ],
  ])('of %s refuse %j', (matchType, filter, path, nearest) => {
    const problems = checkEntityFilter(matchType, filter, '$');

    expect(problems.map((problem) => problem.path)).toEqual([path]);
    if (nearest !== undefined) expect(problems[0]?.nearest).toBe(nearest);
    expect(() => compileEntityFilter(matchType, filter)).toThrow('the filter is wrong');
  });
});
