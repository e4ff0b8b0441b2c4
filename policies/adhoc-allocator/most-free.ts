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
    const freeBytes = (cluster: (typeof clusters)[number]): number =>
      cluster.nodes.reduce((sum, node) => sum + (node.healthy ? node.free.memoryBytes : 0), 0);
    const [best] = [...clusters].sort((a, b) => freeBytes(b) - freeBytes(a));
    return best ? { clusterId: best.id } : { refused: 'there is no cluster' };
  },
});
