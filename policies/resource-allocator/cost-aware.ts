import { z } from 'zod';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { definePolicy } from '../../sdk/policy.ts';
import { allocate, allocatorParameters } from '../support/allocate.ts';

/** Decides among nodes of the same cost, and never between different ones. */
const tieWeight = 1e-9;

/** Choose it where machines cost different amounts and any of them will do. */
export default definePolicy({
  hook: 'resourceAllocator',
  name: 'cost-aware',
  version: '1.0.0',
  description:
    'Takes the cheapest node that fits, the fullest among equals. Choose it where machines are paid by the hour.',
  parameters: allocatorParameters.extend({
    /** Key of the nodes' metadata: what an hour costs, a number or text that is one, in any one currency. */
    cost_key: z.string().min(1).default('costPerHour'),
    /** Of nodes that do not say. */
    unknown_cost: z.number().nonnegative().default(1e6),
  }),
  settings: z.strictObject({}),
  evaluate(input, { parameters }) {
    const { cost_key: key, unknown_cost: unknown, ...rest } = parameters;
    const costOf = ({ metadata }: NodeSnapshot): number => {
      const given = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
      const isText = typeof given === 'string' && given.trim() !== '';
      const cost = typeof given === 'number' || isText ? Number(given) : Number.NaN;
      return Number.isFinite(cost) && cost >= 0 ? cost : unknown;
    };
    return allocate(input, rest, (node) => {
      const full = 1 - node.free.memoryBytes / Math.max(1, node.capacity.memoryBytes);
      // Of the cost alone, not of the other nodes': scores of different clusters are compared.
      return (1 - tieWeight) / (1 + costOf(node)) + tieWeight * full;
    });
  },
});
