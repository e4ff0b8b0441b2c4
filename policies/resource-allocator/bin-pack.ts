import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { memoFrozen } from '../../sdk/memo.ts';
import { definePolicy } from '../../sdk/policy.ts';
import type { ResourceAmounts } from '../../sdk/spec/common.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';

const total = memoFrozen((amounts: readonly { readonly memoryBytes: number }[]) => {
  let bytes = 0;
  for (const { memoryBytes } of amounts) bytes += memoryBytes;
  return bytes;
});

/** The share of what is left on the node that one instance takes, over the amounts it asks for: 1 fills it exactly. */
function filled({ free }: NodeSnapshot, wanted: ResourceAmounts): number {
  let asked = 0;
  let shares = 0;
  const add = (needed: number, left: number): void => {
    if (needed === 0) return;
    asked += 1;
    shares += needed / left;
  };
  add(wanted.memoryBytes, free.memoryBytes);
  add(wanted.cpuCores, free.cpuCores);
  if (wanted.gpus.length > 0) add(total(wanted.gpus), total(free.gpus));
  return shares / Math.max(1, asked);
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
