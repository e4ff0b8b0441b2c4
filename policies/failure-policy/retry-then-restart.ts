import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'failurePolicy',
  name: 'retry-then-restart',
  version: '1.0.0',
  description:
    'Tries again twice, then restarts, then gives up. Choose it for failures that mostly pass.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate({ failure }) {
    if (failure.count <= 2) return { actions: [{ type: 'retry', afterMs: 1000 * failure.count }] };
    if (failure.count <= 5) return { actions: [{ type: 'restart' }] };
    return { actions: [{ type: 'give-up', message: failure.message.slice(0, 1000) }] };
  },
});
