import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** Choose it where what runs, stays. */
export default definePolicy({
  hook: 'preemption',
  name: 'never',
  version: '1.0.0',
  description: 'Takes nobody’s place. Choose it where what runs must stay, whatever waits.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate: () => ({ refused: 'what runs, stays' }),
});
