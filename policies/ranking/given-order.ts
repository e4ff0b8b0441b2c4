import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'ranking',
  name: 'given-order',
  version: '1.0.0',
  description:
    'Keeps the order in which the search found things. Choose it to see what a filter lets through.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate: ({ candidates }) => ({ ranked: candidates.map(({ id }) => ({ id })) }),
});
