import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'autoscaler',
  name: 'hold',
  version: '1.0.0',
  description: 'Never changes the number of instances. Choose it where a person scales.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate: () => ({ hold: true }),
});
