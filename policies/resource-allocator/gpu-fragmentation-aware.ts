import { z } from 'zod';
import type { GpuSnapshot, NodeSnapshot } from '../../sdk/cluster.ts';
import { chooseDevices } from '../../sdk/fit.ts';
import { definePolicy } from '../../sdk/policy.ts';
import type { ResourceAmounts } from '../../sdk/spec/common.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';

/** A device nobody has a share of: what is worth keeping, and keeping together. */
const isWhole = ({ sharedBy, exclusive }: GpuSnapshot): boolean => sharedBy === 0 && !exclusive;

/** 0 to 1: how little an instance on this node would leave broken up. */
function keptTogether(node: NodeSnapshot, wanted: ResourceAmounts): number {
  const { gpus } = node;
  const chosen = new Map(
    (chooseDevices(node, wanted) ?? []).map((index, at) => [index, wanted.gpus[at]]),
  );
  let wholeLeft = 0;
  let broken = 0;
  let stranded = 0;
  for (const gpu of gpus) {
    const request = chosen.get(gpu.index);
    if (!request) {
      wholeLeft += Number(isWhole(gpu));
      continue;
    }
    broken += Number(isWhole(gpu));
    if (request.exclusive) continue;
    stranded += (gpu.freeMemoryBytes - request.memoryBytes) / Math.max(1, gpu.totalMemoryBytes);
  }
  const asked = Math.max(1, chosen.size);
  // What is broken up weighs most, then how many whole ones the machine keeps, then how tight the fit is.
  return (
    0.6 * (1 - broken / asked) +
    0.3 * (1 - wholeLeft / Math.max(1, gpus.length)) +
    0.1 * (1 - stranded / asked)
  );
}

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
    allocate(input, parameters, (node) => keptTogether(node, input.block.resources)),
});
