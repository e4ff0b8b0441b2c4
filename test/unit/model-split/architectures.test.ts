import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../../support/checkpoint.ts';
import {
  type DecoderFamily,
  type DecoderModel,
  type DecoderModelOptions,
  decoderConfigs,
  writeDecoderModel,
} from '../../support/decoder-models.ts';
import { ReferenceDecoder } from '../../support/reference-decoder.ts';
import { largestGap } from '../../support/reference-math.ts';
import { ChainedStages } from './chained-stages.ts';
import { split, temporaryFolder } from './workspace.ts';

const tolerance = 1e-4;
const prompt = 13;
const decoded = 9;

function randomTokens(count: number, seed = 7): number[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => Math.floor(random() * 51));
}

/** Factors for each of the pairs that are turned. */
const longRope = (pairs: number, original: number, changes = {}) => ({
  original_max_position_embeddings: original,
  rope_scaling: {
    type: 'longrope',
    short_factor: Array.from({ length: pairs }, (_, i) => 1 + i / 8),
    long_factor: Array.from({ length: pairs }, (_, i) => 1 + i),
  },
  ...changes,
});

const models: Record<string, DecoderModelOptions> = {
  'Llama 2': { family: 'llama' },
  'Llama 2, linear scaling, BF16': {
    family: 'llama',
    dtype: 'BF16',
    config: { rope_scaling: { type: 'linear', factor: 4 } },
  },
  'Llama 3.1, tied, BF16': {
    family: 'llama',
    dtype: 'BF16',
    config: {
      tie_word_embeddings: true,
      rope_theta: 500_000,
      rope_scaling: {
        rope_type: 'llama3',
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 16,
      },
    },
  },
  'Llama with every bias, odd sizes': {
    family: 'llama',
    config: {
      ...{ attention_bias: true, mlp_bias: true, hidden_size: 60, intermediate_size: 77 },
      ...{ num_attention_heads: 6, num_key_value_heads: 3 },
    },
  },
  Mistral: { family: 'mistral' },
  'Mistral without a window, BF16, two files': {
    family: 'mistral',
    dtype: 'BF16',
    files: 2,
    config: { sliding_window: null, head_dim: 10 },
  },
  'Qwen 2': { family: 'qwen2', dtype: 'BF16' },
  'Qwen 2, tied, its upper layers sliding': {
    family: 'qwen2',
    config: { use_sliding_window: true, tie_word_embeddings: true },
  },
  'Qwen 3': { family: 'qwen3', dtype: 'BF16' },
  'Qwen 3, heads of 20 numbers, biases': {
    family: 'qwen3',
    config: { head_dim: 20, attention_bias: true, num_key_value_heads: 1 },
  },
  'Phi-3': { family: 'phi3' },
  'Phi-3, LongRoPE within the first context, BF16': {
    family: 'phi3',
    dtype: 'BF16',
    config: longRope(8, 48, { sliding_window: null }),
  },
  'Phi-3, LongRoPE beyond the first context': { family: 'phi3', config: longRope(8, 16) },
  'Phi-4 mini: a part of each head turned': {
    family: 'phi3',
    config: longRope(8, 16, {
      head_dim: 32,
      partial_rotary_factor: 0.5,
      tie_word_embeddings: true,
    }),
  },
  'Gemma 2': { family: 'gemma2', dtype: 'BF16' },
  'Gemma 2, layers named, odd sizes': {
    family: 'gemma2',
    config: {
      layer_types: ['full', 'full', 'sliding', 'full'].map((kind) => `${kind}_attention`),
      ...{ hidden_size: 52, intermediate_size: 61, head_dim: 14, num_key_value_heads: 4 },
    },
  },
  'Gemma 3': { family: 'gemma3', dtype: 'BF16' },
  'Gemma 3, one key head of 256 numbers, an untied head': {
    family: 'gemma3',
    config: {
      ...{ num_key_value_heads: 1, head_dim: 256, query_pre_attn_scalar: 256 },
      ...{ tie_word_embeddings: false, rope_scaling: null },
    },
  },
};

/** Logits after a prefill in chunks of these sizes, and after each decoded token; and where each is. */
async function logitsOf(splitFolder: string, tokens: readonly number[], chunks: readonly number[]) {
  const stages = await ChainedStages.load(splitFolder);
  const logits: { readonly position: number; readonly row: Float32Array }[] = [];
  let position = 0;
  const steps = [...chunks, ...Array(tokens.length - chunks.reduce((a, b) => a + b, 0)).fill(1)];
  for (const rows of steps) {
    const row = await stages.step(tokens.slice(position, position + rows));
    position += rows;
    logits.push({ position: position - 1, row: row.slice() });
  }
  await stages.release();
  return logits;
}

async function largestError(
  model: DecoderModel,
  splitFolder: string,
  tokens: readonly number[],
  chunks: readonly number[],
) {
  const expected = new ReferenceDecoder(model).allLogits(tokens);
  const logits = await logitsOf(splitFolder, tokens, chunks);
  const gaps = logits.map(({ position, row }) => largestGap(row, expected[position] ?? []));
  return { error: Math.max(...gaps), logits };
}

describe('stages compute what the reference computes, past the window, whole and in two', () => {
  for (const [name, options] of Object.entries(models)) {
    test(name, async () => {
      const folder = await temporaryFolder();
      const model = await writeDecoderModel(join(folder, 'model'), options);
      const tokens = randomTokens(prompt + decoded);
      await split(model.folder, join(folder, 'whole'));
      await split(model.folder, join(folder, 'halves'), { shards: 2 });

      const whole = await largestError(model, join(folder, 'whole'), tokens, [prompt]);
      const chunked = await largestError(model, join(folder, 'whole'), tokens, [3, 6, 4]);
      const halves = await logitsOf(join(folder, 'halves'), tokens, [prompt]);

      expect(whole.error).toBeLessThan(tolerance);
      expect(chunked.error).toBeLessThan(tolerance);
      expect(halves).toEqual(whole.logits);
    });
  }
});

describe('weights of another architecture than config.json names are refused', () => {
  const mistaken: readonly [DecoderFamily, DecoderFamily, RegExp][] = [
    ['qwen2', 'mistral', /q_proj\.bias: .*no place in MistralForCausalLM/],
    ['mistral', 'qwen2', /q_proj\.bias: .*missing/],
    ['llama', 'phi3', /qkv_proj\.weight: .*missing/],
    ['phi3', 'llama', /q_proj\.weight: .*missing/],
    ['gemma2', 'llama', /pre_feedforward_layernorm\.weight: .*no place in LlamaForCausalLM/],
    ['gemma3', 'gemma2', /q_norm\.weight: .*no place in Gemma2ForCausalLM/],
  ];
  for (const [weights, named, says] of mistaken) {
    test(`${weights} named ${named}`, async () => {
      const folder = await temporaryFolder();
      const model = await writeDecoderModel(join(folder, 'model'), { family: weights });
      const { head_dim, tie_word_embeddings } = model.config;
      const config = { ...decoderConfigs[named], head_dim, tie_word_embeddings };
      await writeFile(join(model.folder, 'config.json'), JSON.stringify(config));

      const failure = await split(model.folder, join(folder, 'out')).catch((error) => error);

      expect(failure).toMatchObject({ code: 'CHECKPOINT_INVALID' });
      expect(failure.message).toMatch(says);
    });
  }

  test('an architecture that is not in the table is refused with those that are', async () => {
    const folder = await temporaryFolder();
    const config = { architectures: ['MixtralForCausalLM'], num_local_experts: 8 };
    const model = await writeDecoderModel(join(folder, 'model'), { family: 'mistral', config });

    await expect(split(model.folder, join(folder, 'out'))).rejects.toMatchObject({
      code: 'ARCHITECTURE_UNSUPPORTED',
      message: expect.stringMatching(/MixtralForCausalLM is not supported[\s\S]*Mistral, Qwen/),
    });
  });
});

describe('what tells an architecture from Llama is felt in its logits', () => {
  const without: readonly [DecoderFamily, object][] = [
    ['mistral', { sliding_window: null }],
    ['gemma2', { sliding_window: null }],
    ['gemma2', { attn_logit_softcapping: null }],
    ['gemma2', { final_logit_softcapping: null }],
    ['gemma2', { query_pre_attn_scalar: 24 }],
    ['gemma3', { sliding_window: null }],
    ['gemma3', { rope_scaling: null }],
    ['gemma3', { rope_local_base_freq: 1_000_000 }],
    ['phi3', { sliding_window: null }],
  ];
  for (const [family, change] of without) {
    test(`${family}: ${Object.keys(change).join()}`, async () => {
      const folder = await temporaryFolder();
      const model = await writeDecoderModel(join(folder, 'model'), { family });
      const tokens = randomTokens(prompt);
      const changed = { ...model, config: { ...model.config, ...change } };

      const gap = largestGap(
        new ReferenceDecoder(model).logits(tokens),
        new ReferenceDecoder(changed).logits(tokens),
      );

      expect(gap).toBeGreaterThan(30 * tolerance);
    });
  }
});

test('any family of any sizes, in any chunks', async () => {
  const folder = await temporaryFolder();
  let run = 0;
  const sizes = fc.record({
    family: fc.constantFrom(...(Object.keys(decoderConfigs) as DecoderFamily[])),
    dtype: fc.constantFrom('F32', 'F16', 'BF16'),
    hidden_size: fc.integer({ min: 4, max: 40 }),
    intermediate_size: fc.integer({ min: 1, max: 50 }),
    halfHead: fc.integer({ min: 1, max: 20 }),
    keyValueHeads: fc.integer({ min: 1, max: 3 }),
    queriesPerKey: fc.integer({ min: 1, max: 3 }),
    layers: fc.integer({ min: 2, max: 3 }),
    sliding_window: fc.option(fc.integer({ min: 1, max: 14 })),
    chunks: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 3 }),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(sizes, async ({ family, dtype, chunks, seed, ...size }) => {
      run += 1;
      const { hidden_size, intermediate_size, sliding_window } = size;
      const model = await writeDecoderModel(join(folder, `model-${run}`), {
        ...{ family, dtype, seed },
        config: {
          ...{ hidden_size, intermediate_size, sliding_window },
          head_dim: 2 * size.halfHead,
          num_hidden_layers: size.layers,
          num_key_value_heads: size.keyValueHeads,
          num_attention_heads: size.keyValueHeads * size.queriesPerKey,
        },
      });
      const out = join(folder, `split-${run}`);
      await split(model.folder, out, { shards: 2 });
      const { error } = await largestError(model, out, randomTokens(20, seed), chunks);

      expect(error).toBeLessThan(tolerance * 10);
    }),
    { numRuns: 25 },
  );
});
