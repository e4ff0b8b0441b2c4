import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'qualityChecker',
  name: 'accept-all',
  version: '1.0.0',
  description: 'Finds nothing wrong with any answer. Choose it to leave a hook empty.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate: () => ({ ok: true }),
});
