import { defineBlock, defineComponent } from 'aios-sdk';
import { z } from 'zod';

/** Greets: one word at a time as partial results, then the whole greeting as the answer. */
export default defineComponent({
  componentType: 'example',
  name: 'hello',
  version: '1.0.0',
  block: defineBlock({
    input: z.object({ name: z.string().min(1) }),
    output: z.object({ greeting: z.string() }),
    // Changeable while the block runs; a block's document may set others.
    parameters: z.object({ greeting: z.string().default('Hello') }),
    async *onData({ data }, { parameters, log }) {
      log(`greeting ${data.name}`);
      yield { greeting: parameters.greeting };
      yield { greeting: `${parameters.greeting}, ${data.name}!` };
    },
  }),
});
