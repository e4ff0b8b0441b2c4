import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'pre_processing',
  name: 'unchanged-input',
  version: '1.0.0',
  description: 'Hands every packet on as it came. Choose it to leave a hook empty.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate: ({ packet }) => ({ data: packet.data }),
});
