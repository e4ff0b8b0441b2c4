import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';

/** Choose it where a lost machine must not take every instance of a block along. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'spread',
  version: '1.0.0',
  description:
    'Puts each instance on the node with the fewest instances of the block, then the most free memory. Choose it to survive the loss of a machine.',
  parameters: allocatorParameters,
  settings: z.strictObject({}),
  evaluate: (input, { parameters }) =>
    allocate(input, parameters, (node, ownInstances) => {
      const freeFraction = node.free.memoryBytes / Math.max(1, node.capacity.memoryBytes);
      // One more instance always weighs more than any amount of free memory.
      const worst = 1 / (2 + ownInstances);
      const best = 1 / (1 + ownInstances);
      return worst + freeFraction * (best - worst);
    }),
});
