import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { definePolicy } from '../../sdk/policy.ts';
import type { ResourceAmounts } from '../../sdk/spec/common.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';

const total = (amounts: readonly { readonly memoryBytes: number }[]): number =>
  amounts.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);

/** The share of what is left on the node that one instance takes: 1 fills it exactly. */
function filled({ free }: NodeSnapshot, wanted: ResourceAmounts): number {
  const shares = [
    [wanted.memoryBytes, free.memoryBytes],
    [wanted.cpuCores, free.cpuCores],
    [total(wanted.gpus), total(free.gpus)],
  ]
    .filter(([needed = 0]) => needed > 0)
    .map(([needed = 0, left = 0]) => needed / left);
  return shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length);
}

/** The default: use it unless instances must be apart or the machines' real load matters. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'bin-pack',
  version: '1.0.0',
  description:
    'Fills the fullest node that fits, so that large nodes stay free for large blocks. Choose it to use few machines.',
  parameters: allocatorParameters,
  settings: z.strictObject({}),
  evaluate: (input, { parameters }) =>
    allocate(input, parameters, (node) => filled(node, input.block.resources)),
});
