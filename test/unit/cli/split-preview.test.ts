import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fitNodes, type PlannedSplit, shardMemory } from '../../../cli/split-preview.ts';

const planned = (
  memory: readonly number[],
  free: readonly number[],
  chosen?: string[],
): PlannedSplit => ({
  outline: {
    ...{
      name: 'm',
      architecture: 'a',
      contextTokens: 1,
      layers: [],
      embeddingBytes: 0,
      headBytes: 0,
    },
    overheadBytes: 10,
  },
  shards: memory.map((bytes, index) => ({
    ...{ firstLayer: index, lastLayer: index, hasEmbedding: false, hasHead: false, fileBytes: 1 },
    ...{ residentBytes: bytes - 1, kvBytes: 1 },
  })),
  nodes: free.map((freeMemoryBytes, index) => ({
    ...{ clusterId: 'c', nodeId: `n${index}`, freeMemoryBytes, cpuCores: 1 },
  })),
  ...(chosen ? { chosenNodes: chosen } : {}),
});

describe('where the shards of a split would go', () => {
  test('is where the planner chose', () => {
    const { fits, homeless } = fitNodes(planned([50, 20], [40, 70], ['c/n1', 'c/n0']));
    expect(fits.map(({ shards }) => shards)).toEqual([[1], [0]]);
    expect(homeless).toEqual([]);
  });

  test('is where most is left, or nowhere', () => {
    const { fits, homeless } = fitNodes(planned([20, 90, 200], [100, 60]));
    expect(fits).toEqual([
      { node: 'c/n0', freeMemoryBytes: 100, shards: [1], takenBytes: 100 },
      { node: 'c/n1', freeMemoryBytes: 60, shards: [0], takenBytes: 30 },
    ]);
    expect(homeless).toEqual([2]);
  });

  test('never takes more than a node has, and every shard is somewhere', () => {
    const bytes = fc.array(fc.integer({ min: 1, max: 1000 }), { maxLength: 12 });
    fc.assert(
      fc.property(bytes, bytes, (memory, free) => {
        const split = planned(memory, free);
        const { fits, homeless } = fitNodes(split);
        for (const { takenBytes, freeMemoryBytes, shards } of fits) {
          expect(takenBytes).toBeLessThanOrEqual(freeMemoryBytes);
          const sizes = shards.map((shard) => shardMemory(split)[shard] ?? 0);
          expect(takenBytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
        }
        const placed = [...fits.flatMap(({ shards }) => shards), ...homeless];
        expect(placed.sort((a, b) => a - b)).toEqual(memory.map((_, shard) => shard));
      }),
    );
  });
});
