import { expect, test } from 'vitest';
import { blockSpec, maxInstancesOfBlock } from '../../../sdk/spec/block.ts';

const block = { id: 'b', componentUri: 'a.b:1-x', minInstances: 1, maxInstances: 1 };

test('a block cannot ask for more than placement can look at', () => {
  expect(blockSpec.safeParse(block).success).toBe(true);
  const crowd = { ...block, minInstances: 1e9, maxInstances: 1e9 };
  const greedy = {
    ...block,
    resources: { memoryBytes: 1, gpus: Array(1025).fill({ memoryBytes: 1 }) },
  };

  for (const hostile of [crowd, greedy]) expect(blockSpec.safeParse(hostile).success).toBe(false);
  expect(maxInstancesOfBlock).toBeLessThanOrEqual(10_000);
});
