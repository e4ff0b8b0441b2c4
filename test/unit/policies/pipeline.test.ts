import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import fastest from '../../../policies/split-planner/fastest.ts';
import { type Costs, fastestPipeline, pipelineCosts } from '../../../policies/support/pipeline.ts';
import type { HookInput } from '../../../sdk/hooks.ts';

type Question = HookInput<'splitPlanner'>;

/** Every order of every choice of nodes, with every cut: the slow way to be right. */
function bruteForce(costs: Costs, readers: number, shards?: number): number | undefined {
  let best: number | undefined;
  const walk = (used: readonly number[], from: number, sum: number, max: number): void => {
    if (from === costs.layers) {
      if (shards !== undefined && used.length !== shards) return;
      const period = Math.max(sum / readers, max);
      if (Number.isFinite(period)) best = Math.min(best ?? period, period);
      return;
    }
    for (let node = 0; node < costs.nodes; node += 1) {
      if (used.includes(node)) continue;
      const last = used.at(-1);
      const hop = last === undefined ? 0 : costs.hop(last, node);
      for (let to = from + 1; to <= costs.layers; to += 1) {
        const part = costs.shard(node, from, to);
        walk([...used, node], to, sum + hop + part, Math.max(max, hop, part));
      }
    }
  };
  walk([], 0, 0, 0);
  return best;
}

const nodes = fc.array(
  fc.record({
    freeMemoryBytes: fc.integer({ min: 0, max: 60 }),
    weightBytesPerSecond: fc.integer({ min: 1, max: 50 }),
  }),
  { minLength: 1, maxLength: 4 },
);
const questions = fc
  .record({
    layers: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 }),
    nodes,
    hops: fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 6, maxLength: 6 }),
    headBytes: fc.integer({ min: 0, max: 8 }),
  })
  .map(({ layers, nodes: given, hops, headBytes }): Question => {
    const named = given.map((node, at) => ({
      ...{ clusterId: 'c', nodeId: `n${at}`, cpuCores: 1 },
      ...node,
    }));
    const pairs = named.flatMap((a, at) => named.slice(at + 1).map((b) => [a, b] as const));
    return {
      action: 'plan',
      model: {
        ...{ name: 'm', embeddingBytes: 1, overheadBytes: 2, activationBytes: 100, headBytes },
        layers: layers.map((residentBytes) => ({ residentBytes, kvBytes: 1 })),
      },
      nodes: named,
      links: pairs.map(([a, b], at) => ({
        between: [`c/${a.nodeId}`, `c/${b.nodeId}`] as const,
        latencyMs: hops[at] ?? 0,
        bytesPerSecond: 1e5,
      })),
    };
  });
const readers = fc.constantFrom(1, 2, 3, 8, 1000);

describe('the fastest pipeline', () => {
  it('is the one that trying everything finds', () => {
    fc.assert(
      fc.property(questions, readers, (question, count) => {
        const costs = pipelineCosts(question);
        const found = fastestPipeline(costs, count);
        const expected = bruteForce(costs, count);
        if (expected === undefined) expect(found).toBeUndefined();
        else expect(found?.periodMs).toBeCloseTo(expected, 2);
      }),
      { numRuns: 300 },
    );
  });

  it('has as many shards as were asked for, where they fit', () => {
    fc.assert(
      fc.property(questions, fc.integer({ min: 1, max: 4 }), (question, shards) => {
        const costs = pipelineCosts(question);
        const found = fastestPipeline(costs, 1, shards);
        const expected = bruteForce(costs, 1, shards);
        if (expected === undefined) expect(found).toBeUndefined();
        else {
          expect(found?.nodes).toHaveLength(shards);
          expect(found?.periodMs).toBeCloseTo(expected, 6);
        }
      }),
    );
  });

  it('is never slower for one node more', () => {
    fc.assert(
      fc.property(questions, readers, (question, count) => {
        const fewer = { ...question, nodes: question.nodes.slice(1) };
        const without = fastestPipeline(pipelineCosts(fewer), count);
        const withIt = fastestPipeline(pipelineCosts(question), count);
        if (!without) return;
        // What is not measured is the median of what is: that must not change with the node.
        expect(withIt?.periodMs ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(
          without.periodMs * (1 + 1e-4),
        );
      }),
    );
  });
});

describe('the policy', () => {
  const context = { settings: {}, state: {}, now: 0, random: () => 0, log: () => undefined };
  const ask = (question: Question, count = 1) =>
    fastest.evaluate(question, { ...context, parameters: { readers: count } });
  const gigabyte = 1e9;
  const question = (speeds: readonly number[], latencyMs: number): Question => ({
    action: 'plan',
    model: {
      ...{ name: 'm', embeddingBytes: 0, headBytes: 0, overheadBytes: 0, activationBytes: 16_384 },
      layers: Array.from({ length: 64 }, () => ({ residentBytes: gigabyte / 8, kvBytes: 0 })),
    },
    nodes: speeds.map((speed, at) => ({
      ...{ clusterId: 'c', nodeId: `n${at}`, cpuCores: 8, freeMemoryBytes: 16 * gigabyte },
      weightBytesPerSecond: speed * gigabyte,
    })),
    links: [{ between: ['c/n0', 'c/n1'], latencyMs, bytesPerSecond: gigabyte }],
  });

  it('does not split for one reader where one good node beats three slow ones', () => {
    expect(ask(question([40, 5, 5, 5], 1))).toMatchObject({ firstLayers: [0], nodes: ['c/n0'] });
  });

  it('splits for many readers, and leaves out what would only slow them down', () => {
    const answer = ask(question([40, 40, 1], 0.1), 16) as {
      nodes: string[];
      firstLayers: number[];
    };
    expect([...answer.nodes].sort()).toEqual(
      ['c/n0', 'c/n1', 'c/n2'].slice(0, answer.nodes.length),
    );
    expect(answer.firstLayers.length).toBeGreaterThan(1);
    const slowLinks = ask(question([40, 40, 1], 500), 16);
    expect(slowLinks).toMatchObject({ firstLayers: [0] });
  });

  it('says what would fit where nothing does', () => {
    const small = question([1, 1], 1);
    const nodes = small.nodes.map((node) => ({ ...node, freeMemoryBytes: gigabyte }));
    expect(ask({ ...small, nodes })).toMatchObject({
      infeasible: expect.stringMatching(/needs .* free.*What would fit: .* more on c\/n/),
    });
  });
});
