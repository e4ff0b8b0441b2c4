import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compileClusterFilter,
  compileEntityFilter,
  compileFilter,
  compileNodeFilter,
  matchTypes,
} from '../../../runtime/placement/filter/index.ts';
import type { GpuSnapshot, NodeSnapshot } from '../../../sdk/cluster.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { clusterSpec } from '../../../sdk/spec/cluster.ts';
import { and, condition, gpu, measured, node, or } from './filter-nodes.ts';

const mebibyte = 2 ** 20;
const words = ['a', 'ab', 'b', 'edge'] as const;
const amounts = [0, 1, 2.5, 3, 48] as const;

const devices = fc.array(
  fc.record({
    freeMemoryBytes: fc.constantFrom(...amounts).map((amount) => amount * mebibyte),
    modelName: fc.constantFrom(...words),
    sharedBy: fc.nat(2),
  }),
  { maxLength: 4 },
);
const anyNode = fc
  .record({
    id: fc.constantFrom(...words),
    tags: fc.subarray([...words]),
    instances: fc.constantFrom(0, 1, 3),
    healthy: fc.boolean(),
    load15m: fc.option(fc.constantFrom(...amounts), { nil: undefined }),
    zone: fc.constantFrom<unknown>(undefined, 'a', '3', 3, true, ['a', 3]),
    gpus: devices,
  })
  .map(({ id, tags, instances, healthy, load15m, zone, gpus }) =>
    node(
      id,
      gpus.map((each, index) => gpu(index, each)),
      {
        ...{ tags, instances, healthy, metadata: zone === undefined ? {} : { zone } },
        ...(load15m === undefined ? {} : measured({ load15m })),
      },
    ),
  );

type Found = number | string | boolean;
/** What each variable finds, written down a second time: every value, none where nothing is known. */
const nodeFacts: Readonly<Record<string, (node: NodeSnapshot) => readonly Found[]>> = {
  id: ({ id }) => [id],
  tags: ({ tags }) => tags,
  healthy: ({ healthy }) => [healthy],
  instances: ({ instances }) => [instances],
  'vcpu.load_15m': ({ measured: found }) => (found ? [found.load15m] : []),
  'gpu.count': ({ gpus }) => [gpus.length],
  'gpus.freeMem': ({ gpus }) => gpus.map((each) => each.freeMemoryBytes / mebibyte),
  'gpus.modelNames': ({ gpus }) => gpus.map((each) => each.modelName),
  'metadata.zone': ({ metadata: { zone } }) =>
    zone === undefined ? [] : ((Array.isArray(zone) ? zone : [zone]) as Found[]),
};
const gpuFacts: Readonly<Record<string, (gpu: GpuSnapshot) => readonly Found[]>> = {
  freeMem: ({ freeMemoryBytes }) => [freeMemoryBytes / mebibyte],
  sharedBy: ({ sharedBy }) => [sharedBy],
  modelName: ({ modelName }) => [modelName],
};
const numeric = ['instances', 'vcpu.load_15m', 'gpu.count', 'gpus.freeMem', 'freeMem', 'sharedBy'];

interface Tree {
  readonly logicalOperator?: string;
  readonly conditions?: readonly Tree[];
  readonly aggOperator?: string;
  readonly target?: string;
  readonly variable?: string;
  readonly operator?: string;
  readonly value?: unknown;
}

function compare(operator: string, found: Found, wanted: Found): boolean {
  const [a, b] =
    typeof found === 'number' ? [found, Number(wanted)] : [String(found), String(wanted)];
  switch (operator) {
    case '<':
      return typeof found !== 'boolean' && a < b;
    case '<=':
      return typeof found === 'boolean' ? a === b : a <= b;
    case '>':
      return typeof found !== 'boolean' && a > b;
    case '>=':
      return typeof found === 'boolean' ? a === b : a >= b;
    case 'LIKE':
      return new RegExp(String(wanted).replaceAll('*', '.*')).test(String(found));
    default:
      return a === b;
  }
}

function naive<S>(facts: Readonly<Record<string, (of: S) => readonly Found[]>>, tree: Tree, of: S) {
  const holds = (part: Tree): boolean => {
    if (part.conditions) {
      return part.logicalOperator === 'AND'
        ? part.conditions.every(holds)
        : part.conditions.some(holds);
    }
    let found = facts[part.target ?? part.variable ?? '']?.(of) ?? [];
    if (part.aggOperator) {
      const numbers = found.map(Number);
      const sum = numbers.reduce((a, b) => a + b, 0);
      const values: Record<string, number> = {
        ...{ count: numbers.length, sum, avg: sum / numbers.length },
        ...{ min: Math.min(...numbers), max: Math.max(...numbers) },
      };
      const known = numbers.length > 0 || ['count', 'sum'].includes(part.aggOperator);
      found = known ? [values[part.aggOperator] as number] : [];
    }
    const wanted = (Array.isArray(part.value) ? part.value : [part.value]) as Found[];
    const operator = part.operator ?? '';
    const some = found.some((each) =>
      wanted.some((one) => compare(operator === '!=' ? '==' : operator, each, one)),
    );
    return operator === '!=' ? !some : some;
  };
  return holds(tree);
}

const number = fc.oneof(fc.constantFrom(...amounts), fc.constantFrom(...amounts).map(String));
const word = fc.constantFrom(...words);
const ordering = fc.constantFrom('==', '!=', '<', '<=', '>', '>=');
const listOf = <T>(each: fc.Arbitrary<T>) =>
  fc.record({
    operator: fc.constantFrom('IN', 'IN ANY'),
    value: fc.array(each, { maxLength: 3 }),
  });
const leaf = (names: readonly string[]) =>
  fc.constantFrom(...names).chain((variable): fc.Arbitrary<Tree> => {
    const isNumber = numeric.includes(variable);
    const [value, operator] =
      variable === 'healthy'
        ? [fc.constantFrom<unknown>(true, 'false'), fc.constantFrom('==', '!=')]
        : [isNumber ? number : word, ordering];
    const like = { operator: fc.constant('LIKE'), value: fc.constantFrom('a', '*b', 'e*e', '*') };
    return fc
      .oneof(
        fc.record({ operator, value }),
        listOf(value),
        ...(isNumber || variable === 'healthy' ? [] : [fc.record(like)]),
      )
      .map((rest) => ({ variable, ...rest }));
  });
const aggregates = fc
  .record({
    aggOperator: fc.constantFrom('count', 'sum', 'avg', 'min', 'max'),
    target: fc.constant('gpus.freeMem'),
    operator: ordering,
    value: number,
  })
  .map((tree): Tree => tree);
const trees = (leaves: fc.Arbitrary<Tree>) =>
  fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaves,
      fc.record({
        logicalOperator: fc.constantFrom('AND', 'OR'),
        conditions: fc.array(tie('tree'), { minLength: 1, maxLength: 4 }),
      }),
    ),
  })).tree;

const nodeTree = trees(fc.oneof(leaf(Object.keys(nodeFacts)), aggregates));
const gpuTree = trees(leaf(Object.keys(gpuFacts)));

describe('laws of the filter language', () => {
  it('a compiled filter agrees with a naive interpreter, in every way that it is asked', () => {
    fc.assert(
      fc.property(
        ...[nodeTree, gpuTree, fc.integer({ min: 1, max: 3 })],
        fc.array(anyNode, { maxLength: 40 }),
        (nodeQuery, where, count, list) => {
          const nodes = Object.freeze(list);
          const filter = compileNodeFilter({ nodeQuery, gpuQuery: { count, where } });
          const passing = nodes.filter(
            (each) =>
              naive(nodeFacts, nodeQuery, each) &&
              each.gpus.filter((device) => naive(gpuFacts, where, device)).length >= count,
          );

          expect(nodes.filter(filter.passes)).toEqual(passing);
          expect(nodes.filter((each) => !filter.test(each))).toEqual(passing);
          expect(filter.select(nodes)).toEqual(passing);
          const { passing: surveyed, refused } = filter.survey(nodes);
          expect(surveyed).toEqual(passing);
          expect(refused.reduce((sum, part) => sum + part.count, passing.length)).toBe(
            nodes.length,
          );
          for (const each of nodes) {
            expect(filter.devices(each)).toEqual(
              each.gpus.filter((device) => naive(gpuFacts, where, device)),
            );
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  const byNode = (query: unknown, each: NodeSnapshot) =>
    compileNodeFilter({ nodeQuery: query }).passes(each);

  it('De Morgan: not all equal is some unequal', () => {
    fc.assert(
      fc.property(
        fc.array(leaf(Object.keys(nodeFacts)), { minLength: 1 }),
        anyNode,
        (leaves, each) => {
          const equal = leaves
            .filter(({ value }) => !Array.isArray(value))
            .map((part) => ({ ...part, operator: '==' }));
          fc.pre(equal.length > 0);
          const unequal = equal.map((part) => ({ ...part, operator: '!=' }));

          expect(byNode(or(...unequal), each)).toBe(!byNode(and(...equal), each));
          expect(byNode(and(...unequal), each)).toBe(!byNode(or(...equal), each));
        },
      ),
    );
  });

  it('IN is an OR of ==', () => {
    const texts = fc.constantFrom('id', 'tags', 'metadata.zone', 'gpus.modelNames');
    const values = fc.array(fc.oneof(word, fc.constant('3')), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(texts, values, anyNode, (variable, list, each) => {
        const equals = list.map((value) => condition(variable, '==', value));

        expect(byNode(condition(variable, 'IN', list), each)).toBe(byNode(or(...equals), each));
      }),
    );
  });

  it('a number as text means the number', () => {
    const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(finite, finite, ordering, (load15m, value, operator) => {
        const each = node('n', [], measured({ load15m }));
        const plain = byNode(condition('vcpu.load15m', operator, value), each);

        expect(byNode(condition('vcpu.load15m', operator, String(value)), each)).toBe(plain);
        expect(plain).toBe(
          operator === '!=' ? load15m !== value : compare(operator, load15m, value),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('a cluster sums its nodes, whatever was looked at before', () => {
    const spec = clusterSpec.parse({ id: 'c' });
    const base = { id: 'c', regionId: 'r', tags: [], metadata: {} };
    const seen = (nodes: readonly NodeSnapshot[], aggOperator: string, target: string) =>
      compileFilter({ aggOperator, target, operator: '<', value: -1 })({
        spec,
        snapshot: { ...base, nodes },
      })?.seen;
    const many = fc.array(anyNode, { minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(many, fc.nat(), anyNode, (list, place, other) => {
        for (const nodes of [list, list.with(place % list.length, other)].map(Object.freeze)) {
          const all = nodes as readonly NodeSnapshot[];
          const free = all.flatMap(({ gpus }) =>
            gpus.map((each) => each.freeMemoryBytes / mebibyte),
          );
          const sum = free.reduce((a, b) => a + b, 0);

          expect(seen(all, 'sum', 'nodes.gpus.freeMem')).toBe(String(sum));
          expect(seen(all, 'count', 'nodes.gpus')).toBe(String(free.length));
          const refused = compileFilter(condition('cluster.gpu.totalFreeMem', '<', -1));
          expect(refused({ spec, snapshot: { ...base, nodes: all } })?.seen).toBe(String(sum));
          const model = compileClusterFilter(condition('gpus.modelNames', 'IN', ['ab']));
          expect(model.passes({ spec, snapshot: { ...base, nodes: all } })).toBe(
            all.some(({ gpus }) => gpus.some(({ modelName }) => modelName === 'ab')),
          );
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe('whatever JSON is compiled', () => {
  const keys = fc.constantFrom(
    ...['variable', 'operator', 'value', 'logicalOperator', 'conditions', 'aggOperator', 'target'],
    ...['clusterQuery', 'nodeQuery', 'gpuQuery', 'blockQuery', 'where', 'count', '__proto__'],
    ...['toString', 'vdagMetricsQuery', 'blockMetricsQuery', 'policyGraphQuery', 'id'],
  );
  const plausible = fc.constantFrom<unknown>(
    ...[
      'AND',
      'OR',
      '==',
      'IN',
      'LIKE',
      'id',
      'tags',
      'nodes',
      'count',
      'gpus.freeMem',
      'instances',
    ],
    ...[1, -1, null, true, '2Gi', 'metadata.', 'metadata.__proto__.x', 'cluster.id'],
  );
  const { json } = fc.letrec<{ json: unknown }>((tie) => ({
    json: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      plausible,
      fc.jsonValue(),
      fc.array(tie('json'), { maxLength: 4 }),
      fc.dictionary(keys, tie('json'), { maxKeys: 5 }),
    ),
  }));

  const attempt = (compile: () => unknown): void => {
    try {
      compile();
    } catch (error) {
      expect(AiosError.isInstance(error) && error.code).toBe('FILTER_INVALID');
    }
  };

  it('compiles, or is refused with FILTER_INVALID', () => {
    const subject = node('n', [gpu(0)]);
    fc.assert(
      fc.property(json, (filter) => {
        attempt(() => compileFilter(filter));
        attempt(() => compileNodeFilter(filter).survey([subject]));
        for (const matchType of matchTypes) {
          attempt(() => compileEntityFilter(matchType, filter).test({ document: filter }));
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each(['nodeQuery', 'gpuQuery', 'value'])('however deep: %s', (key) => {
    let deep: unknown = 1;
    for (let depth = 0; depth < 100_000; depth += 1) deep = [deep];

    attempt(() => compileNodeFilter({ [key]: deep }));
    attempt(() => compileNodeFilter({ nodeQuery: condition('id', '==', deep) }));
  });
});
