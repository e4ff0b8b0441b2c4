import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'assignment',
  name: 'least-busy-block',
  version: '1.0.0',
  description:
    'Picks the block with the fewest requests in flight. Choose it unless a node needs a certain block.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate({ candidates }) {
    const [best] = [...candidates].sort(
      (a, b) =>
        (a.metrics?.outstandingRequests.last ?? 0) - (b.metrics?.outstandingRequests.last ?? 0),
    );
    return best ? { blockId: best.block.id } : { refused: 'no block passed the filter' };
  },
});
