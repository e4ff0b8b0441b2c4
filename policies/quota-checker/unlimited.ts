import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'quotaChecker',
  name: 'unlimited',
  version: '1.0.0',
  description: 'Admits every request. Choose it where admission by capacity is enough.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate: () => ({ allowed: true }),
});
