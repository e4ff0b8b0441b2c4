import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'healthChecker',
  name: 'every-block-ready',
  version: '1.0.0',
  description:
    'Healthy while every block has a ready instance. Choose it unless a graph can answer without some of its blocks.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate({ blocks }) {
    const missing = blocks.filter(({ readyInstances }) => readyInstances === 0).map(({ id }) => id);
    return missing.length === 0
      ? { healthy: true }
      : { healthy: false, reason: `no ready instance of: ${missing.join(', ')}`.slice(0, 1000) };
  },
});
