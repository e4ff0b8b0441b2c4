import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkFilter, compileFilter, createLedger } from '../../../runtime/placement/index.ts';
import { createSnapshots } from '../../../runtime/placement/snapshot.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { clusterView, gibibyte } from '../../support/clusters.ts';

/** The cluster used throughout AIOS's documentation, with metrics. */
const west = clusterView(
  {
    id: 'cluster-west-vision-001',
    regionId: 'us-west-2',
    status: 'live',
    nodes: [
      {
        id: 'node-1',
        memoryBytes: 128 * gibibyte,
        cpuCores: 32,
        gpus: [
          { modelName: 'NVIDIA A100', memoryBytes: 16 * gibibyte },
          { modelName: 'NVIDIA A100', memoryBytes: 16 * gibibyte },
        ],
        metadata: { disks: 2, network: { interfaces: 2 } },
      },
      {
        id: 'node-2',
        memoryBytes: 64 * gibibyte,
        cpuCores: 16,
        gpus: [{ modelName: 'NVIDIA V100', memoryBytes: 16 * gibibyte }],
        metadata: { disks: 1, network: { interfaces: 1 } },
      },
    ],
    tags: ['gpu', 'production'],
    metadata: { vendor: 'dma-bangalore', racks: 3, additionalInfo: { zone: 'a' } },
    reputation: 94,
  },
  { 'node-1': { load15m: 2 }, 'node-2': { load15m: 5, memoryUsedBytes: 16 * gibibyte } },
);

const subject = () => {
  const ledger = createLedger();
  ledger.setCluster(west.spec);
  return { spec: west.spec, snapshot: createSnapshots(ledger).of(west) };
};

const plain = (variable: string, operator: string, value: unknown) => ({
  variable,
  operator,
  value,
});
const refusal = (filter: unknown) => compileFilter(filter)(subject());
const passes = (filter: unknown) => refusal(filter) === undefined;

const problemsOf = (filter: unknown) => checkFilter(filter, '$');

describe('the filter language', () => {
  it('passes the cluster of the documentation by the filters of its Mistral example', () => {
    const filter = {
      clusterMetricsQuery: {
        logicalOperator: 'AND',
        conditions: [
          plain('cluster.vcpu.load_15m', '<', '10'),
          plain('cluster.gpu.totalFreeMem', '>', '48000'),
        ],
      },
      clusterQuery: {
        logicalOperator: 'AND',
        conditions: [
          plain('gpus.count', '>=', '3'),
          plain('clusterMetadata.vendor', '==', 'dma-bangalore'),
        ],
      },
    };

    expect(passes(filter)).toBe(true);
  });

  it('names the condition that refused and the value seen, in the units of the document', () => {
    expect(refusal({ clusterQuery: plain('gpus.count', '>', '5') })).toEqual({
      refusedBy: 'gpus.count > 5',
      seen: '3',
    });
    expect(refusal({ clusterMetricsQuery: plain('cluster.gpu.totalFreeMem', '>', 60000) })).toEqual(
      {
        refusedBy: 'cluster.gpu.totalFreeMem > 60000',
        seen: '49152',
      },
    );
  });

  it.each([
    ['memory', '==', 196608],
    ['vcpus.count', '==', 48],
    ['gpus.memory', '==', 49152],
    ['storage.disks', '==', 3],
    ['network.interfaces', '==', '3'],
    ['cluster.vcpu.load15m', '==', 3.5],
    ['cluster.memory.usedMem', '==', 16384],
    ['cluster.memory.averageUtil', '==', 12.5],
    ['cluster.gpu.avgMemUtilization', '==', 0],
    ['nodes.vcpu.load15m', '>', 4],
    ['nodes.count', 'IN', [1, '2']],
    ['regionId', 'IN', ['r1', 'us-west-2']],
    ['tags', 'IN', ['production', 'other']],
    ['tags', 'IN ANY', ['production']],
    ['tags', '==', 'gpu'],
    ['tags', '!=', 'cpu'],
    ['id', 'LIKE', 'west-*-001'],
    ['gpus.modelNames', 'LIKE', '*A100'],
    ['clusterMetadata.racks', '>=', '3'],
    ['clusterMetadata.additionalInfo.zone', '==', 'a'],
    ['clusterMetadata.absent', '!=', 'x'],
    ['free.memoryBytes', '>=', '192Gi'],
    ['swap', '==', 0],
  ])('holds for %s %s %j', (variable, operator, value) => {
    expect(passes(plain(variable, operator, value))).toBe(true);
  });

  it.each([
    ['id', 'LIKE', 'w.st'],
    ['id', 'LIKE', '(west|east)'],
    ['tags', '!=', 'gpu'],
    ['clusterMetadata.absent', '==', 'x'],
    ['cluster.network.rxBytesTotal', '>', 0],
    ['status', '<', 'a'],
  ])('does not hold for %s %s %j', (variable, operator, value) => {
    expect(passes(plain(variable, operator, value))).toBe(false);
  });

  it.each([
    ['count', 'nodes', '==', 2],
    ['count', 'nodes.gpus', '==', '3'],
    ['avg', 'nodes.vcpu.load15m', '==', 3.5],
    ['sum', 'nodes.gpus.freeMem', '==', 49152],
    ['min', 'nodes.memory.freeMem', '==', 65536],
    ['max', 'nodes.memory.freeMem', '==', 131072],
  ])('aggregates: %s(%s) %s %j', (aggOperator, target, operator, value) => {
    expect(passes({ aggOperator, target, operator, value })).toBe(true);
  });

  it('shows every branch of an OR that was refused', () => {
    const filter = {
      logicalOperator: 'OR',
      conditions: [plain('regionId', '==', 'eu'), plain('gpus.count', '>', 9)],
    };

    expect(refusal(filter)).toEqual({
      refusedBy: '(regionId == eu OR gpus.count > 9)',
      seen: 'us-west-2; 3',
    });
  });

  it('lets everything pass without a filter', () => {
    expect(passes(undefined)).toBe(true);
    expect(passes({})).toBe(true);
  });

  it('reports every problem at once, with its path and the nearest name', () => {
    const problems = problemsOf({
      clusterQuery: {
        logicalOperator: 'XOR',
        conditions: [
          plain('gpus.cuont', '>', 1),
          plain('gpus.count', '=>', 1),
          plain('gpus.count', '>', 'many'),
          plain('gpus.count', 'LIKE', '3'),
          plain('regionId', '==', 7),
          { variable: 'id', operator: '==', value: 'x', valeu: 1 },
          { aggOperator: 'median', target: 'nodes', operator: '>', value: 1 },
          { aggOperator: 'avg', target: 'tags', operator: '>', value: 1 },
          plain('nodes', '==', 2),
          'gpus.count > 1',
        ],
      },
      blockQuery: {},
      clusterMetricQuery: {},
    });

    expect(problems.map(({ path }) => path)).toEqual([
      '$.clusterQuery.logicalOperator',
      '$.clusterQuery.conditions[0].variable',
      '$.clusterQuery.conditions[1].operator',
      '$.clusterQuery.conditions[2].value',
      '$.clusterQuery.conditions[3].operator',
      '$.clusterQuery.conditions[4].value',
      '$.clusterQuery.conditions[5].valeu',
      '$.clusterQuery.conditions[6].aggOperator',
      '$.clusterQuery.conditions[7].target',
      '$.clusterQuery.conditions[8].variable',
      '$.clusterQuery.conditions[9]',
      '$.blockQuery',
      '$.clusterMetricQuery',
    ]);
    expect(problems[1]?.nearest).toBe('gpus.count');
    expect(problems[6]?.nearest).toBe('value');
    expect(problems[11]?.message).toContain('not supported');
    expect(problems[12]?.nearest).toBe('clusterMetricsQuery');
    expect(() => compileFilter({ clusterQuery: 3 })).toThrow(AiosError);
  });

  it.each([
    [
      'too deep',
      () => {
        let filter: unknown = plain('id', '==', 'x');
        for (let depth = 0; depth < 5000; depth += 1)
          filter = { logicalOperator: 'AND', conditions: [filter] };
        return filter;
      },
    ],
    [
      'too many',
      () => ({
        logicalOperator: 'OR',
        conditions: new Array(100_000).fill(plain('id', '==', 'x')),
      }),
    ],
    ['a list too long', () => plain('id', 'IN', new Array(100_000).fill('x'))],
    ['a pattern too long', () => plain('id', 'LIKE', '*a'.repeat(10_000))],
    ['an inherited name', () => plain('clusterMetadata.__proto__.x', '==', {})],
  ])('bounds what it compiles: %s', (_, make) => {
    const problems = problemsOf(make());

    expect(problems.length).toBeGreaterThan(0);
    expect(problems.length).toBeLessThan(5);
  });

  it('agrees with a naive evaluator on any tree of conditions', () => {
    const facts: Readonly<Record<string, number | string | readonly string[]>> = {
      'gpus.count': 3,
      'vcpus.count': 48,
      regionId: 'us-west-2',
      tags: ['gpu', 'production'],
    };
    const value = fc.constantFrom<number | string>(0, 3, 48, 100);
    const word = fc.constantFrom('us-west-2', 'gpu', 'production', 'eu', 'p*n', '*');
    const condition = fc.oneof(
      fc.record({
        variable: fc.constantFrom('gpus.count', 'vcpus.count'),
        operator: fc.constantFrom('==', '!=', '<', '<=', '>', '>='),
        value: fc.oneof(value, value.map(String)),
      }),
      fc.record({
        variable: fc.constantFrom('regionId', 'tags'),
        operator: fc.constantFrom('==', '!=', 'LIKE'),
        value: word,
      }),
      fc.record({
        variable: fc.constantFrom('regionId', 'tags'),
        operator: fc.constant('IN'),
        value: fc.array(word, { maxLength: 3 }),
      }),
    );
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        condition,
        fc.record({
          logicalOperator: fc.constantFrom('AND', 'OR'),
          conditions: fc.array(tie('tree'), { minLength: 1, maxLength: 4 }),
        }),
      ),
    }));
    interface Any {
      logicalOperator?: string;
      conditions?: Any[];
      variable?: string;
      operator?: string;
      value?: unknown;
    }
    const naive = (node: Any): boolean => {
      if (node.conditions) {
        return node.logicalOperator === 'AND'
          ? node.conditions.every(naive)
          : node.conditions.some(naive);
      }
      const seen = facts[node.variable ?? ''];
      const each = Array.isArray(seen) ? seen : [seen];
      const wanted = typeof seen === 'number' ? Number(node.value) : node.value;
      switch (node.operator) {
        case '==':
          return each.includes(wanted as never);
        case '!=':
          return !each.includes(wanted as never);
        case 'IN':
          return (node.value as unknown[]).some((one) => each.includes(one as never));
        case 'LIKE': {
          const escaped = String(node.value)
            .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
            .replaceAll('*', '.*');
          return each.some((one) => new RegExp(escaped).test(String(one)));
        }
        default:
          return {
            '<': seen! < wanted!,
            '<=': seen! <= wanted!,
            '>': seen! > wanted!,
            '>=': seen! >= wanted!,
          }[node.operator as '<'];
      }
    };
    fc.assert(
      fc.property(tree, (filter) => {
        expect(passes({ clusterQuery: filter })).toBe(naive(filter as Any));
      }),
      { numRuns: 500 },
    );
  });
});
