import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { definePolicy } from '../../sdk/policy.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';
import { nodeColumns } from '../support/node-columns.ts';

const freeFraction = ({ free, capacity }: NodeSnapshot): number =>
  free.memoryBytes / Math.max(1, capacity.memoryBytes);
const freeColumn = nodeColumns(freeFraction);
const none = new Float64Array();

/** One more instance always weighs more than any amount of free memory. */
function room(free: number, ownInstances: number): number {
  const worst = 1 / (2 + ownInstances);
  const best = 1 / (1 + ownInstances);
  return worst + free * (best - worst);
}

function rankAll(nodes: readonly NodeSnapshot[]): number[] {
  const [free = none] = freeColumn(nodes);
  const scores = new Array<number>(nodes.length);
  for (let at = 0; at < nodes.length; at += 1) scores[at] = room(free[at] as number, 0);
  return scores;
}

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
    allocate(
      input,
      parameters,
      (node, ownInstances) => room(freeFraction(node), ownInstances),
      rankAll,
    ),
});
