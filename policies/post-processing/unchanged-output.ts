import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'post_processing',
  name: 'unchanged-output',
  version: '1.0.0',
  description: 'Hands every answer on as it came. Choose it to leave a hook empty.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate: ({ packet }) => ({ data: packet.data }),
});
