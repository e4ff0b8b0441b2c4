import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'preCheck',
  name: 'allow-all',
  version: '1.0.0',
  description: 'Lets every action go on. Choose it where access control alone decides.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate: () => ({ allowed: true }),
});
