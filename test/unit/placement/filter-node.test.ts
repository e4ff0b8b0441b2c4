import { describe, expect, it } from 'vitest';
import {
  checkNodeFilter,
  compileClusterFilter,
  compileFilter,
  compileNodeFilter,
} from '../../../runtime/placement/filter/index.ts';
import type { NodeSnapshot } from '../../../sdk/cluster.ts';
import { clusterSpec } from '../../../sdk/spec/cluster.ts';
import { gibibyte } from '../../support/clusters.ts';
import { and, condition, gpu, measured, node, or } from './filter-nodes.ts';

const subject = node(
  'edge-7',
  [gpu(0), gpu(1, { modelName: 'NVIDIA L4', freeMemoryBytes: 10 * gibibyte })],
  { ...measured({ load15m: 2.5 }), metadata: { rack: 'b', slots: 4, roles: ['db', 'web'] } },
);

describe('conditions on a node', () => {
  it.each([
    ['id', 'LIKE', 'edge-*'],
    ['node.id', '==', 'edge-7'],
    ['nodeId', 'IN', ['x', 'edge-7']],
    ['tags', 'IN ANY', ['production', 'x']],
    ['tags', '!=', 'test'],
    ['healthy', '==', true],
    ['healthy', '==', 'true'],
    ['healthy', '!=', false],
    ['healthy', 'IN', [true]],
    ['vcpus.count', '==', '32'],
    ['memory', '==', 131_072],
    ['vcpu.load15m', '<', '3'],
    ['vcpu.load_15m', '==', 2.5],
    ['vcpu.average15m', '==', 2.5],
    ['node.vcpu.load_15m', '>=', 2.5],
    ['memory.freeMem', '>', 65_535],
    ['memory.freeMem', '<=', 65_536],
    ['memory.averageUtil', '==', 25],
    ['gpu.count', '==', 2],
    ['gpu.totalFreeMem', '==', 30 * 1024],
    ['gpu.avgCudaUtilization', '==', 50],
    ['gpus.count', '>=', 2],
    ['gpus.freeMem', '>', 16_384],
    ['gpus.freeMem', '<', 16_384],
    ['gpus.freeMem', '!=', 5],
    ['gpus.cudaUtilization', '<', 90],
    ['gpus.modelNames', 'LIKE', 'L4'],
    ['free.memoryBytes', '>=', '64Gi'],
    ['free.cpuCores', '>=', 16],
    ['instances', '==', 0],
    ['nodeMetadata.rack', '==', 'b'],
    ['metadata.slots', '>=', '4'],
    ['metadata.roles', 'IN', ['web']],
    ['node.nodeMetadata.roles', '!=', 'mail'],
    ['metadata.absent', '!=', 'x'],
    ['storage.freeMem', '!=', 5],
  ])('holds for %s %s %j', (variable, operator, value) => {
    const filter = compileNodeFilter({ nodeQuery: condition(variable, operator, value) });

    expect(filter.passes(subject)).toBe(true);
    expect(filter.test(subject)).toBeUndefined();
    expect(filter.select([subject])).toEqual([subject]);
  });

  it.each([
    ['healthy', '==', false, 'true'],
    ['vcpu.load15m', '<', 2.5, '2.5'],
    ['storage.freeMem', '>', 0, 'not known'],
    ['gpus.temperature', '>', 0, 'none'],
    ['gpu.avgTemperature', '<', 90, 'not known'],
    ['gpus.modelNames', '!=', 'NVIDIA L4', '[NVIDIA A100, NVIDIA L4]'],
    ['metadata.absent', '==', 'x', 'not known'],
  ])('refuses by %s %s %j and says %s', (variable, operator, value, seen) => {
    const filter = compileNodeFilter({ nodeMetricsQuery: condition(variable, operator, value) });

    expect(filter.passes(subject)).toBe(false);
    expect(filter.test(subject)).toEqual({ refusedBy: `${variable} ${operator} ${value}`, seen });
    expect(filter.select([subject])).toEqual([]);
  });

  it.each([
    ['count', 'gpus', '==', 2],
    ['min', 'gpus.freeMem', '==', 10_240],
    ['sum', 'gpus.totalMem', '==', 81_920],
    ['avg', 'node.gpus.cudaUtilization', '==', '50'],
    ['count', 'tags', '==', 1],
    ['count', 'metadata.roles', 'IN', [2]],
  ])('aggregates: %s(%s) %s %j', (aggOperator, target, operator, value) => {
    const filter = compileNodeFilter({ nodeQuery: { aggOperator, target, operator, value } });

    expect(filter.passes(subject)).toBe(true);
    expect(filter.select([subject])).toHaveLength(1);
  });

  it('asks metrics first and everything of OR and AND alike', () => {
    const filter = compileNodeFilter({
      nodeQuery: condition('id', '==', 'other'),
      nodeMetricsQuery: or(
        condition('vcpu.load15m', '!=', 2.5),
        and(condition('memory.freeMem', '>', 1), condition('id', 'LIKE', 'x*')),
      ),
    });

    expect(filter.test(subject)).toEqual({
      refusedBy: '(vcpu.load15m != 2.5 OR memory.freeMem > 1 AND id LIKE x*)',
      seen: '2.5; edge-7',
    });
  });

  it('reports every unknown name with the nearest, whichever level it is of', () => {
    const problems = checkNodeFilter(
      {
        clusterQuery: condition('gpus.cuont', '>', 1),
        nodeQuery: condition('vcpu.lod15m', '>', 1),
        nodeMetricsQuery: condition('healthy', '<', true),
        gpuQuery: { count: 0, where: condition('freeMme', '>', 'much') },
        gpusQuery: {},
      },
      '$',
    );

    expect(problems.map(({ path, nearest }) => [path, nearest])).toEqual([
      ['$.clusterQuery.variable', 'gpus.count'],
      ['$.nodeMetricsQuery.operator', undefined],
      ['$.nodeQuery.variable', 'vcpu.load15m'],
      ['$.gpuQuery.count', undefined],
      ['$.gpuQuery.where.variable', 'freeMem'],
      ['$.gpusQuery', 'gpuQuery'],
    ]);
  });

  it('asks of each level its own part of one filter', () => {
    const filter = {
      clusterQuery: condition('regionId', '==', 'eu'),
      nodeQuery: condition('id', '==', 'other'),
    };
    const spec = clusterSpec.parse({ id: 'c', regionId: 'eu' });
    const snapshot = { id: 'c', regionId: 'eu', tags: [], metadata: {}, nodes: [subject] };

    expect(compileFilter(filter)({ spec, snapshot })).toBeUndefined();
    expect(compileClusterFilter(filter).passes({ spec, snapshot })).toBe(true);
    expect(compileNodeFilter(filter).passes(subject)).toBe(false);
    expect(compileNodeFilter({ clusterQuery: filter.clusterQuery }).isEmpty).toBe(true);
  });
});

describe('conditions on devices', () => {
  const where = and(condition('freeMem', '>=', '16384'), condition('cudaUtilization', '<', 90));
  const busy = { utilizationFraction: 0.95 };
  const small = { freeMemoryBytes: gibibyte };
  const mixed = node('mixed', [gpu(0, busy), gpu(1), gpu(2, small), gpu(3)]);

  it('finds two GPUs with 16 GB free under 90 % busy, and says which', () => {
    const filter = compileNodeFilter({ gpuQuery: { count: 2, where } });

    expect(filter.passes(mixed)).toBe(true);
    expect(filter.devices(mixed).map(({ index }) => index)).toEqual([1, 3]);
  });

  it('says how many passed where they are too few', () => {
    const filter = compileNodeFilter({ gpuQuery: { count: '3', where } });

    expect(filter.test(mixed)).toEqual({
      refusedBy: '3 GPUs with freeMem >= 16384 AND cudaUtilization < 90',
      seen: '2 of 4',
    });
    expect(filter.test(node('bare'))?.seen).toBe('no GPU');
  });

  it.each([
    ['one condition', { variable: 'modelName', operator: 'LIKE', value: 'L4' }, [1]],
    ['conditions beside the count', { count: 1, conditions: [condition('index', '>', 0)] }, [1, 2]],
    [
      'a group',
      { count: 1, ...or(condition('sharedBy', '>', 0), condition('index', '==', 0)) },
      [0, 2],
    ],
    ['a count alone', { count: 3 }, [0, 1, 2]],
    ['our own names', { where: condition('freeMemoryBytes', '>=', '20Gi') }, [0, 2]],
    ['fractions', { where: condition('utilizationFraction', '>', 0.6) }, [2]],
    ['exclusive ones', { where: condition('gpu.exclusive', '==', 'false') }, [0, 1]],
    ['a temperature', { where: condition('temperature', '<', 80) }, [1]],
    ['what is not known', { where: condition('temperature', '!=', 70) }, [0, 2]],
  ])('takes %s', (_, gpuQuery, expected) => {
    const three = node('three', [
      gpu(0),
      gpu(1, { modelName: 'NVIDIA L4', ...small, temperatureCelsius: 70 }),
      gpu(2, { sharedBy: 1, exclusive: true, utilizationFraction: 0.7 }),
    ]);
    const filter = compileNodeFilter({ gpuQuery });

    expect(filter.devices(three).map(({ index }) => index)).toEqual(expected);
    expect(filter.select([three])).toEqual([three]);
  });

  it('gives all devices where nothing is asked of them', () => {
    expect(compileNodeFilter(undefined).devices(mixed)).toBe(mixed.gpus);
    expect(
      compileNodeFilter({ nodeQuery: condition('id', '==', 'x') }).devices(mixed),
    ).toHaveLength(4);
  });
});

describe('many nodes', () => {
  const many = (count: number): NodeSnapshot[] =>
    Array.from({ length: count }, (_, at) =>
      node(`n${at}`, at % 3 === 0 ? [] : [gpu(0), gpu(1)], { instances: at % 10 }),
    );

  it('are selected in order, the same as one by one, at every length of a run', () => {
    const filter = compileNodeFilter({
      nodeQuery: or(condition('instances', '<', 3), condition('id', 'LIKE', '7')),
      gpuQuery: { count: 2 },
    });
    for (const count of [0, 1, 31, 32, 33, 64, 100]) {
      const nodes = Object.freeze(many(count));

      expect(filter.select(nodes)).toEqual(nodes.filter(filter.passes));
      expect(filter.survey(nodes).passing).toEqual(filter.select(nodes));
    }
  });

  it('are counted by what refused them, with examples', () => {
    const { passing, refused } = compileNodeFilter({
      nodeQuery: condition('instances', '<', 9),
      gpuQuery: { count: 1 },
    }).survey(Object.freeze(many(100)));

    expect(passing).toHaveLength(60);
    expect(refused.map(({ refusedBy, count }) => [refusedBy, count])).toEqual([
      ['1 GPU', 30],
      ['instances < 9', 10],
    ]);
    expect(refused[1]?.examples).toHaveLength(5);
    expect(refused[1]?.examples[0]).toEqual({ nodeId: 'n9', seen: '9' });
  });

  it('are looked at again when one of them changed, and only then', () => {
    const filter = compileNodeFilter({ nodeQuery: condition('instances', '==', 0) });
    const before = Object.freeze(many(100));
    const changed = [...before];
    changed[50] = node('n50', [], { instances: 1 });
    const after = Object.freeze(changed);

    expect(filter.select(before).map(({ id }) => id)).toContain('n50');
    expect(filter.select(after).map(({ id }) => id)).not.toContain('n50');
    expect(filter.select(before).map(({ id }) => id)).toContain('n50');
  });

  it('may be changed in place while nobody froze them', () => {
    const loose = { ...node('loose'), instances: 0 };
    const filter = compileNodeFilter({ nodeQuery: condition('instances', '==', 0) });

    expect(filter.select([loose])).toHaveLength(1);
    loose.instances = 1;
    expect(filter.select([loose])).toHaveLength(0);
  });

  it('sum up to their cluster without being read again', () => {
    let reads = 0;
    const counted = (id: string, bytes: number): NodeSnapshot => {
      const free = { memoryBytes: bytes, cpuCores: 1, gpus: [] };
      return Object.freeze(
        Object.defineProperty({ ...node(id) }, 'free', {
          enumerable: true,
          get: () => {
            reads += 1;
            return free;
          },
        }),
      );
    };
    const nodes = Array.from({ length: 1000 }, (_, at) => counted(`n${at}`, gibibyte));
    const spec = clusterSpec.parse({ id: 'c' });
    const base = { id: 'c', regionId: 'r', tags: [], metadata: {} };
    const { test } = compileClusterFilter(condition('cluster.memory.freeMem', '>', 10 ** 9));
    const seen = (list: readonly NodeSnapshot[]) =>
      test({ spec, snapshot: { ...base, nodes: Object.freeze(list) } })?.seen;

    expect(seen(nodes)).toBe(String(1000 * 1024));
    const first = reads;
    expect(seen(nodes.with(500, counted('n500', 3 * gibibyte)))).toBe(String(1002 * 1024));
    expect(first).toBe(1000);
    expect(reads - first).toBe(32);
  });
});
