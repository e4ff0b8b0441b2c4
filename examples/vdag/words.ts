import { defineBlock, defineComponent } from 'aios-sdk';
import { z } from 'zod';

/** Cuts a text into its words. */
export default defineComponent({
  componentType: 'example',
  name: 'words',
  version: '1.0.0',
  block: defineBlock({
    input: z.object({ text: z.string() }),
    output: z.object({ words: z.array(z.string()) }),
    onData: ({ data }) => ({ words: data.text.match(/\p{L}+/gu) ?? [] }),
  }),
});
