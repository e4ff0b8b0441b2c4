import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { definePolicy } from '../../sdk/policy.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';

/** Choose it where machines cost different amounts and any of them will do. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'cost-aware',
  version: '1.0.0',
  description:
    'Takes the cheapest node that fits, the fullest among equals. Choose it where machines are paid by the hour.',
  parameters: allocatorParameters.extend({
    /** Key of the nodes' metadata: a number, in any one currency. */
    cost_key: z.string().default('costPerHour'),
    /** Of nodes that do not say. */
    unknown_cost: z.number().nonnegative().default(1e6),
  }),
  settings: z.strictObject({}),
  evaluate(input, { parameters }) {
    const { cost_key: key, unknown_cost: unknown, ...rest } = parameters;
    const costOf = ({ metadata }: NodeSnapshot): number => {
      const cost = Number(metadata[key] ?? unknown);
      return Number.isFinite(cost) && cost >= 0 ? cost : unknown;
    };
    const dearest = input.nodes.reduce((most, node) => Math.max(most, costOf(node)), 0);
    return allocate(input, rest, (node) => {
      const cheap = dearest === 0 ? 1 : 1 - costOf(node) / dearest;
      const full = 1 - node.free.memoryBytes / Math.max(1, node.capacity.memoryBytes);
      return 0.95 * cheap + 0.05 * full;
    });
  },
});
