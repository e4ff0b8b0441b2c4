import { type Block, defineBlock, defineComponent } from 'aios-sdk';
import { expectTypeOf, test } from 'vitest';
import { z } from 'zod';

const input = z.object({ text: z.string() });
const output = z.object({ words: z.number() });

test('a block’s packet, settings and parameters are inferred from its schemas', () => {
  const block = defineBlock({
    input,
    output,
    settings: z.object({ language: z.string().default('en') }),
    parameters: z.object({ limit: z.number() }),
    onData(packet, context) {
      expectTypeOf(packet.data).toEqualTypeOf<{ text: string }>();
      expectTypeOf(context.settings).toEqualTypeOf<{ language: string }>();
      expectTypeOf(context.parameters.limit).toEqualTypeOf<number>();
      return { words: packet.data.text.length };
    },
  });

  expectTypeOf(block).toEqualTypeOf<Block>();
});

test('a block may stream', () => {
  defineBlock({
    input,
    output,
    async *onData() {
      yield { words: 1 };
    },
  });
});

test('an answer that breaks the output schema is an error', () => {
  defineBlock({
    input,
    output,
    // @ts-expect-error words is a number
    onData: () => ({ words: 'three' }),
  });
});

test('a component takes a block', () => {
  const block = defineBlock({ input, output, onData: () => ({ words: 0 }) });

  const component = defineComponent({ componentType: 'service', name: 'n', version: '1', block });

  expectTypeOf(component.uri).toExtend<string>();
  expectTypeOf(component.type).toEqualTypeOf<'component'>();
});

test('a component without a version is an error', () => {
  // @ts-expect-error the version is missing
  defineComponent({ componentType: 'service', name: 'n' });
});
