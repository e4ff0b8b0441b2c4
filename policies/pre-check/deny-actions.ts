import { z } from 'zod';
import { preCheckActions } from '../../sdk/hooks.ts';
import { definePolicy } from '../../sdk/policy.ts';

/** Choose it for a freeze: nothing is added or removed while it lasts. */
export default definePolicy({
  hook: 'preCheck',
  name: 'deny-actions',
  version: '1.0.0',
  description:
    'Refuses the actions it is told. Choose it for a freeze, or to keep clusters as they are.',
  parameters: z.strictObject({
    /** Left out: every action it is asked about. */
    actions: z.array(z.enum(preCheckActions)).optional(),
    reason: z.string().min(1).max(500).default('not allowed now'),
  }),
  settings: z.strictObject({}),
  evaluate: ({ action }, { parameters }) =>
    (parameters.actions?.includes(action) ?? true)
      ? { allowed: false, reason: parameters.reason }
      : { allowed: true },
});
