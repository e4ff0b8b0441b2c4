import { describe, expect, it } from 'vitest';
import fastest from '../../../policies/split-planner/fastest.ts';
import { fastestPipeline, pipelineCosts } from '../../../policies/support/pipeline.ts';
import type { Question } from './pipelines.ts';

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

  it('goes by time where seven nodes and more are needed', () => {
    const speeds = [9, 8, 1, 7, 6, 5, 4, 3, 2];
    const small = question(speeds, 1);
    const nodes = small.nodes.map((node) => ({ ...node, freeMemoryBytes: 1.1 * gigabyte }));
    const answer = ask({ ...small, nodes }) as { nodes: string[]; reason: string };
    expect(answer.nodes).toHaveLength(8);
    expect(answer.nodes).not.toContain('c/n2');
    expect(answer.reason).toMatch(/^a token every /);
  });

  it('takes the order of the cut by memory where no other fits, and cuts anew by time', () => {
    // Ten large and ten small nodes must take turns, each with one layer.
    const sizes = Array.from({ length: 20 }, (_, at) => (at < 10 ? 30 : 20));
    const large = question(sizes, 1);
    const nodes = large.nodes.map((node, at) => ({ ...node, freeMemoryBytes: sizes[at] ?? 0 }));
    const layers = sizes.map((_, at) => ({ residentBytes: at % 2 === 0 ? 30 : 20, kvBytes: 0 }));
    const answer = ask({ ...large, model: { ...large.model, layers }, nodes }) as {
      nodes: string[];
      reason: string;
    };
    expect(new Set(answer.nodes).size).toBe(20);
    expect(answer.nodes.map((name) => Number(name.slice(3)) < 10)).toEqual(
      sizes.map((_, at) => at % 2 === 0),
    );
    expect(answer.reason).toMatch(/^a token every .* it barely fits, so memory says/);
  });
});

describe('what a search takes', () => {
  const fleet = (count: number, layers: number, draw: () => number): Question => {
    const nodes = Array.from({ length: count }, (_, at) => ({
      ...{ clusterId: 'c', nodeId: `n${at}`, cpuCores: 8 },
      freeMemoryBytes: (2 + 4 * draw()) * 1e9,
      weightBytesPerSecond: (5 + 40 * draw()) * 1e9,
    }));
    const pairs = nodes.flatMap((a, at) => nodes.slice(at + 1).map((b) => [a, b] as const));
    return {
      action: 'plan',
      model: {
        ...{ name: 'm', embeddingBytes: 5e8, headBytes: 5e8, overheadBytes: 1e8 },
        activationBytes: 16_384,
        layers: Array.from({ length: layers }, () => ({
          residentBytes: (1 + draw()) * 1e8,
          kvBytes: 1e7,
        })),
      },
      nodes,
      links: pairs.map(([a, b]) => ({
        between: [`c/${a.nodeId}`, `c/${b.nodeId}`] as const,
        latencyMs: 0.1 + 5 * draw(),
        bytesPerSecond: 1e9,
      })),
    };
  };
  const drawn = () => {
    let seed = 7;
    return () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
  };
  const mostWork = 6e7;

  it.each([1, 4, 16, 64])('is little for forty nodes that are alike, with %i readers', (count) => {
    const found = fastestPipeline(pipelineCosts(fleet(40, 40, () => 0.5)), count);
    expect(found?.isProven).toBe(true);
    expect(found?.work).toBeLessThan(mostWork / 20);
  });

  it.each([12, 13, 40, 200])('is bounded for %i nodes that differ in everything', (nodes) => {
    const costs = pipelineCosts(fleet(nodes, 40, drawn()));
    for (const count of [1, 4, 16, 64]) {
      const found = fastestPipeline(costs, count);
      expect(found?.work).toBeLessThan(mostWork);
      if (nodes <= 12) expect(found?.isProven).toBe(true);
    }
  });
});
