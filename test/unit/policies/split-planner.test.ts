import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import even from '../../../policies/split-planner/even.ts';
import memoryAware from '../../../policies/split-planner/memory-aware.ts';
import type { HookInput } from '../../../sdk/hooks.ts';

type Input = HookInput<'splitPlanner'>;

const context = {
  parameters: {},
  settings: {},
  state: {},
  now: 0,
  random: () => 0,
  log: () => undefined,
};

const input = (
  layers: readonly number[],
  free: readonly number[],
  more: { shards?: number; embedding?: number; head?: number; overhead?: number } = {},
): Input => ({
  action: 'plan',
  model: {
    name: 'm',
    layers: layers.map((bytes) => ({ residentBytes: bytes, kvBytes: 0 })),
    embeddingBytes: more.embedding ?? 0,
    headBytes: more.head ?? 0,
    overheadBytes: more.overhead ?? 0,
  },
  ...(more.shards === undefined ? {} : { shards: more.shards }),
  nodes: free.map((freeMemoryBytes, at) => ({
    ...{ clusterId: 'c', nodeId: `n${at}`, freeMemoryBytes, cpuCores: 1 },
  })),
});

type Answer = { firstLayers?: readonly number[]; infeasible?: string };
const run = (policy: typeof even | typeof memoryAware, question: Input): Answer =>
  policy.evaluate(question, context) as Answer;

/** Bytes of each shard, counted by hand. */
function bytesOf({ model }: Input, firstLayers: readonly number[]): number[] {
  return firstLayers.map((from, shard) => {
    const to = firstLayers[shard + 1] ?? model.layers.length;
    const layers = model.layers
      .slice(from, to)
      .reduce((sum, it) => sum + it.residentBytes + it.kvBytes, 0);
    const ends =
      (from === 0 ? model.embeddingBytes : 0) + (to === model.layers.length ? model.headBytes : 0);
    return layers + ends + model.overheadBytes;
  });
}

function* cuts(layers: number, shards: number, from = 0): Generator<number[]> {
  if (shards === 1) {
    yield [from];
    return;
  }
  for (let next = from + 1; next <= layers - shards + 1; next += 1) {
    for (const rest of cuts(layers, shards - 1, next)) yield [from, ...rest];
  }
}

const fitsApart = (shards: readonly number[], free: readonly number[]): boolean => {
  const nodes = [...free].sort((a, b) => b - a);
  return [...shards].sort((a, b) => b - a).every((bytes, at) => bytes <= (nodes[at] ?? -1));
};

const models = fc.record({
  layers: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 7 }),
  free: fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 1, maxLength: 5 }),
  more: fc.record({
    embedding: fc.integer({ min: 0, max: 6 }),
    head: fc.integer({ min: 0, max: 6 }),
    overhead: fc.integer({ min: 0, max: 2 }),
  }),
});

describe('memory-aware', () => {
  it('does not split a model that fits one node', () => {
    expect(run(memoryAware, input([4, 4, 4], [20, 20]))).toEqual({ firstLayers: [0] });
  });

  it('gives the larger node the larger shard, wherever it stands', () => {
    const answer = run(memoryAware, input([2, 2, 2, 2, 2, 2], [4, 9]));

    expect(bytesOf(input([2, 2, 2, 2, 2, 2], []), answer.firstLayers ?? []).sort()).toEqual([4, 8]);
  });

  it('counts the embedding on the first shard, the head on the last and the overhead on each', () => {
    const question = input([4, 4], [11, 8], { embedding: 6, head: 3, overhead: 1 });

    expect(run(memoryAware, question)).toEqual({ firstLayers: [0, 1] });
    expect(
      run(memoryAware, input([4, 4], [10, 8], { embedding: 6, head: 3, overhead: 1 })).infeasible,
    ).toBeDefined();
  });

  it('says what would fit when nothing does', () => {
    const answer = run(memoryAware, input([10, 10, 10, 10], [12, 12]));

    expect(answer.infeasible).toContain("'m' needs 40 B");
    expect(answer.infeasible).toContain('2 nodes with at least 20 B free each');
    expect(answer.infeasible).toContain('4 nodes with 12 B');
  });

  it('makes exactly the shards asked for, several on one node where there are fewer nodes', () => {
    expect(run(memoryAware, input([2, 2, 2, 2], [20], { shards: 4 })).firstLayers).toEqual([
      0, 1, 2, 3,
    ]);
    expect(run(memoryAware, input([2, 2], [20], { shards: 3 })).infeasible).toContain(
      'as many layers',
    );
    expect(run(memoryAware, input([2, 2], [20], { shards: 1e9 })).infeasible).toBeDefined();
    expect(run(memoryAware, input([2, 2], [], { shards: 2 })).firstLayers).toEqual([0, 1]);
  });

  it('finds the fewest shards that fit, as brute force does', () => {
    fc.assert(
      fc.property(models, ({ layers, free, more }) => {
        const question = input(layers, free, more);
        const answer = run(memoryAware, question);

        let fewest: number | undefined;
        for (let shards = 1; shards <= Math.min(layers.length, free.length); shards += 1) {
          for (const cut of cuts(layers.length, shards)) {
            if (fitsApart(bytesOf(question, cut), free)) fewest ??= shards;
          }
        }
        expect(answer.firstLayers?.length).toBe(fewest);
        expect(answer.infeasible === undefined).toBe(fewest !== undefined);
        if (answer.firstLayers) {
          expect(answer.firstLayers[0]).toBe(0);
          expect([...new Set(answer.firstLayers)].sort((a, b) => a - b)).toEqual(
            answer.firstLayers,
          );
          expect(fitsApart(bytesOf(question, answer.firstLayers), free)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('answers within its limit for a large model on many nodes of different sizes', () => {
    const layers = Array.from({ length: 126 }, (_, at) => 1000 + (at % 7));
    const free = Array.from({ length: 40 }, (_, at) => 5000 + at * 37);
    const question = input(layers, free, { embedding: 900, head: 900, overhead: 100 });

    const answer = run(memoryAware, question);

    expect(fitsApart(bytesOf(question, answer.firstLayers ?? []), free)).toBe(true);
  });
});

describe('even', () => {
  it('cuts so that the largest part is as small as it can be, and the parts are alike', () => {
    expect(run(even, input(new Array(10).fill(1), [], { shards: 3 })).firstLayers?.length).toBe(3);
    fc.assert(
      fc.property(models, fc.integer({ min: 1, max: 7 }), ({ layers, more }, shards) => {
        fc.pre(shards <= layers.length);
        const question = input(layers, [], { ...more, shards });
        const { firstLayers = [] } = run(even, question);

        const best = Math.min(
          ...[...cuts(layers.length, shards)].map((cut) => Math.max(...bytesOf(question, cut))),
        );
        expect(firstLayers).toHaveLength(shards);
        expect(Math.max(...bytesOf(question, firstLayers))).toBe(best);
      }),
      { numRuns: 300 },
    );
  });

  it('takes as few parts as fit one a node when no number is asked for', () => {
    expect(run(even, input([3, 3, 3, 3], [7, 7, 7])).firstLayers).toEqual([0, 2]);
    expect(run(even, input([3, 3], [])).firstLayers).toEqual([0]);
    expect(run(even, input([9, 9], [8, 8])).infeasible).toContain('memory-aware');
    expect(run(even, input([9, 9], [8, 8], { shards: 2 })).infeasible).toBeDefined();
  });
});
