import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'resourceEstimator',
  name: 'roomiest-node',
  version: '1.0.0',
  description:
    'Names the healthy node with the most free memory. Choose it unless functions must stay on certain nodes.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate({ nodes }) {
    const [best] = nodes
      .filter(({ healthy }) => healthy)
      .sort((a, b) => b.free.memoryBytes - a.free.memoryBytes || (a.id < b.id ? -1 : 1));
    return best
      ? { allowed: true, nodeId: best.id }
      : { allowed: false, reason: 'no node is healthy' };
  },
});
