import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'template',
  name: 'plain-document',
  version: '1.0.0',
  description:
    'Reads the document as it is. Choose it for documents that name a template for the record only.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate: ({ spec }) => ({ document: spec }),
});
