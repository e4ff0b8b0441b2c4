import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'adhocAllocator',
  name: 'most-free',
  version: '1.0.0',
  description:
    'Names the cluster with the most free memory. Choose it when the request does not care where it runs.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate({ clusters }) {
    const ranked = clusters.map(({ id, nodes }) => ({
      id,
      healthy: nodes.some(({ healthy }) => healthy),
      freeBytes: nodes.reduce((sum, node) => sum + (node.healthy ? node.free.memoryBytes : 0), 0),
    }));
    const [best] = ranked
      .filter(({ healthy }) => healthy)
      .sort((a, b) => b.freeBytes - a.freeBytes || (a.id < b.id ? -1 : 1));
    return best ? { clusterId: best.id } : { refused: 'no cluster has a healthy node' };
  },
});
