import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Costs,
  fastestPipeline,
  type Pipeline,
  pipelineCosts,
} from '../../../policies/support/pipeline.ts';
import { type Question, questionsOf } from './pipelines.ts';

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

const questions = questionsOf({ nodes: [1, 4], layers: [1, 6] });
const without = (question: Question, at: number): Question => ({
  ...question,
  nodes: question.nodes.filter((_, node) => node !== at % question.nodes.length),
});
const places = fc.nat({ max: 99 });

/** What the parts of an answer amount to, from the costs alone. */
function periodOf(costs: Costs, { nodes, firstLayers }: Pipeline, count: number): number {
  const parts = nodes.flatMap((node, at) => {
    const from = firstLayers[at] ?? 0;
    const before = nodes[at - 1];
    const part = costs.shard(node, from, firstLayers[at + 1] ?? costs.layers);
    return before === undefined ? [part] : [costs.hop(before, node), part];
  });
  return Math.max(parts.reduce((sum, part) => sum + part, 0) / count, ...parts);
}
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

  it('is the one that trying everything finds, of seven and eight nodes too', () => {
    const many = questionsOf({ nodes: [7, 8], layers: [1, 4], memory: 30 });
    fc.assert(
      fc.property(many, readers, (question, count) => {
        const costs = pipelineCosts(question);
        const found = fastestPipeline(costs, count);
        const expected = bruteForce(costs, count);
        if (expected === undefined) expect(found).toBeUndefined();
        else expect((found?.periodMs ?? 0) / expected).toBeCloseTo(1, 5);
      }),
      { numRuns: 60 },
    );
  });

  it('takes what its parts take, uses no node twice, and every shard fits', () => {
    fc.assert(
      fc.property(questionsOf({ nodes: [1, 20], layers: [1, 90] }), readers, (question, count) => {
        const costs = pipelineCosts(question);
        const found = fastestPipeline(costs, count);
        if (!found) return;
        expect(new Set(found.nodes).size).toBe(found.nodes.length);
        expect(found.firstLayers[0]).toBe(0);
        expect(periodOf(costs, found, count) / found.periodMs).toBeCloseTo(1, 9);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    { nodes: [2, 6], layers: [1, 6], numRuns: 100 },
    { nodes: [7, 12], layers: [4, 40], numRuns: 60 },
  ] as const)('is never slower for one node more, of $nodes nodes', (size) => {
    fc.assert(
      fc.property(questionsOf({ ...size }), readers, places, (question, count, at) => {
        const fewer = fastestPipeline(pipelineCosts(without(question, at)), count);
        if (!fewer) return;
        const more = fastestPipeline(pipelineCosts(question), count);
        expect(more?.isProven).toBe(true);
        expect(more?.periodMs).toBeLessThanOrEqual(fewer.periodMs * (1 + 1e-5));
      }),
      { numRuns: size.numRuns },
    );
  });

  it('is never slower for one node more where it says that there is none faster, and never impossible', () => {
    const many = questionsOf({ nodes: [13, 30], layers: [8, 40] });
    fc.assert(
      fc.property(many, readers, places, (question, count, at) => {
        const fewer = fastestPipeline(pipelineCosts(without(question, at)), count);
        if (!fewer) return;
        const more = fastestPipeline(pipelineCosts(question), count);
        expect(more).toBeDefined();
        if (more?.isProven) {
          expect(more.periodMs).toBeLessThanOrEqual(fewer.periodMs * (1 + 1e-5));
        }
      }),
      { numRuns: 30 },
    );
  });

  it('is never slower for one node more of exactly so many shards, of twelve nodes', () => {
    const many = questionsOf({ nodes: [7, 12], layers: [4, 20] });
    fc.assert(
      fc.property(many, fc.integer({ min: 1, max: 5 }), places, (question, shards, at) => {
        const fewer = fastestPipeline(pipelineCosts(without(question, at)), 1, shards);
        if (!fewer) return;
        const more = fastestPipeline(pipelineCosts(question), 1, shards);
        expect(more?.nodes).toHaveLength(shards);
        expect(more?.periodMs).toBeLessThanOrEqual(fewer.periodMs * (1 + 1e-5));
      }),
      { numRuns: 40 },
    );
  });
});
