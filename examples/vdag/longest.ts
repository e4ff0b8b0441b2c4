import { defineBlock, defineComponent } from 'aios-sdk';
import { z } from 'zod';

/** Finds the longest of some words. */
export default defineComponent({
  componentType: 'example',
  name: 'longest',
  version: '1.0.0',
  block: defineBlock({
    input: z.object({ words: z.array(z.string()) }),
    output: z.object({ count: z.number(), longest: z.string() }),
    onData: ({ data: { words } }) => ({
      count: words.length,
      longest: words.reduce((best, word) => (word.length > best.length ? word : best), ''),
    }),
  }),
});
