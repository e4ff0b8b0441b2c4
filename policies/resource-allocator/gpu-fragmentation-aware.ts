import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { definePolicy } from '../../sdk/policy.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';

/** Devices nobody has a share of: what is worth keeping together. */
const whole = ({ gpus }: NodeSnapshot): number =>
  gpus.reduce((count, gpu) => count + (gpu.sharedBy === 0 && !gpu.exclusive ? 1 : 0), 0);

/** Choose it on clusters of machines with many devices, where blocks of one device come beside blocks of eight. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'gpu-fragmentation-aware',
  version: '1.0.0',
  description:
    'Uses devices that are shared already and nodes with few whole ones left. Choose it where small GPU blocks must not break up machines that large ones need.',
  parameters: allocatorParameters,
  settings: z.strictObject({}),
  evaluate: (input, { parameters }) =>
    allocate(input, parameters, (node) => {
      const wanted = input.block.resources.gpus;
      const untouched = whole(node);
      const share = wanted[0]?.memoryBytes ?? 0;
      const shareFits = node.gpus.some(
        (gpu) => gpu.sharedBy > 0 && !gpu.exclusive && gpu.freeMemoryBytes >= share,
      );
      const packs = wanted.length === 1 && wanted[0]?.exclusive === false && shareFits;
      const broken = packs ? 0 : wanted.length;
      // Whole devices that would be left over, of all there are: fewer strand less.
      const stranded = (untouched - broken) / Math.max(1, node.gpus.length);
      const memory = node.free.memoryBytes / Math.max(1, node.capacity.memoryBytes);
      return (packs ? 0.5 : 0) + 0.4 * (1 - Math.max(0, stranded)) + 0.1 * (1 - memory);
    }),
});
