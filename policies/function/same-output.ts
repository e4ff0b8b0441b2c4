import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'function',
  name: 'same-output',
  version: '1.0.0',
  description: 'Gives back what it was given. Choose it to try a graph of functions.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate: ({ input }) => ({ output: input }),
});
