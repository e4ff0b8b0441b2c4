import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'assignment',
  name: 'least-busy-block',
  version: '1.0.0',
  description:
    'Picks, of the blocks with a ready instance, the one with the fewest requests in flight. Choose it unless a node needs a certain block.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate({ candidates }) {
    const ranked = candidates.map(({ block: { id }, metrics }) => ({
      id,
      // Of a block that nobody measured yet nothing is known: those that can answer go first.
      ready: (metrics?.readyInstances.last ?? 0) > 0,
      waiting: metrics?.outstandingRequests.last ?? 0,
    }));
    const [best] = ranked.sort(
      (a, b) =>
        Number(b.ready) - Number(a.ready) || a.waiting - b.waiting || (a.id < b.id ? -1 : 1),
    );
    return best ? { blockId: best.id } : { refused: 'no block passed the filter' };
  },
});
