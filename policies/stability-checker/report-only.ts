import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'stabilityChecker',
  name: 'report-only',
  version: '1.0.0',
  description:
    'Changes nothing: the platform itself replaces processes that ended. Choose it unless unhealthy processes must be restarted too.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate: () => ({ actions: [] }),
});
