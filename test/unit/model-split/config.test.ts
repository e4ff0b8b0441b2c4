import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDecoderConfig } from '../../../runtime/model/decoder/config.ts';
import type { Rope } from '../../../runtime/model/decoder/rope.ts';
import { inverseFrequencies } from '../../../runtime/model/decoder/rotary.ts';
import type { Problem } from '../../../sdk/errors.ts';
import { decoderConfigs } from '../../support/decoder-models.ts';
import { temporaryFolder } from './workspace.ts';

const plain = {
  architectures: ['LlamaForCausalLM'],
  vocab_size: 100,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-6,
};

async function read(config: unknown, generation?: unknown) {
  const folder = await temporaryFolder();
  const text = typeof config === 'string' ? config : JSON.stringify(config);
  await writeFile(join(folder, 'config.json'), text);
  if (generation) {
    await writeFile(join(folder, 'generation_config.json'), JSON.stringify(generation));
  }
  const problems: Problem[] = [];
  return { config: await readDecoderConfig(folder, problems), problems };
}

test('what a config leaves out has the defaults of Llama', async () => {
  const { config, problems } = await read(plain);

  expect(problems).toEqual([]);
  expect(config).toMatchObject({
    heads: 4,
    keyValueHeads: 4,
    headSize: 16,
    attentionScale: 1 / 4,
    layers: Array(3).fill({ rope: { theta: 10_000, rotarySize: 16 } }),
    tiedEmbeddings: false,
    endTokenIds: [],
  });
});

test('a head size and key heads of its own are kept', async () => {
  const { config } = await read({ ...plain, head_dim: 32, num_key_value_heads: 2 });

  expect(config).toMatchObject({ headSize: 32, keyValueHeads: 2 });
});

test('end tokens come from the generation config first, one or several', async () => {
  const one = { ...plain, eos_token_id: 7 };

  expect((await read(one)).config?.endTokenIds).toEqual([7]);
  expect((await read(one, { eos_token_id: [8, 9] })).config?.endTokenIds).toEqual([8, 9]);
  expect((await read(one, { do_sample: true })).config?.endTokenIds).toEqual([7]);
});

test('rotary settings are read where old and new versions of transformers write them', async () => {
  const scaling = {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 32,
  };

  const old = await read({ ...plain, rope_theta: 5e5, rope_scaling: scaling });
  const recent = await read({ ...plain, rope_parameters: { ...scaling, rope_theta: 5e5 } });

  expect(recent.config).toEqual(old.config);
  expect(old.config?.layers[0]?.rope).toMatchObject({
    theta: 5e5,
    scaling: { factor: 8, originalContextTokens: 32 },
  });
});

test('llama3 scaling keeps high frequencies, divides low ones, and goes smoothly between', async () => {
  const { config } = await read({
    ...plain,
    rope_scaling: {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 64,
    },
  });

  const rope = config?.layers[0]?.rope as Rope;
  const scaled = inverseFrequencies(rope, 128);

  const { theta, rotarySize } = rope;
  const unscaled = inverseFrequencies({ theta, rotarySize }, 128);
  // As Meta's code says it, in wavelengths: long ones over 64 / 1 positions, short ones under 64 / 4.
  const expected = unscaled.map((frequency) => {
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < 16) return frequency;
    if (wavelength > 64) return frequency / 8;
    const smooth = (64 / wavelength - 1) / 3;
    return ((1 - smooth) * frequency) / 8 + smooth * frequency;
  });
  const ratios = scaled.map((frequency, i) => frequency / unscaled[i]!);
  expect(scaled).toEqual(expected.map((frequency) => expect.closeTo(frequency, 12)));
  expect([ratios.at(0), ratios.at(-1)]).toEqual([1, 1 / 8]);
  expect(ratios.some((ratio) => ratio < 1 && ratio > 1 / 8)).toBe(true);
});

describe('a feature that is not computed is refused by name', () => {
  const cases: Record<string, object> = {
    hidden_activation: { hidden_activation: 'relu2' },
    layer_types: { layer_types: Array(3).fill('chunked_attention') },
    use_bidirectional_attention: { use_bidirectional_attention: true },
    hidden_act: { hidden_act: 'gelu' },
    'rope_scaling.rope_type': { rope_scaling: { type: 'yarn', factor: 2 } },
    quantization_config: { quantization_config: { bits: 4 } },
  };
  for (const [name, change] of Object.entries(cases)) {
    test(name, async () => {
      await expect(read({ ...plain, ...change })).rejects.toMatchObject({
        code: 'ARCHITECTURE_UNSUPPORTED',
        message: expect.stringContaining(name),
      });
    });
  }

  test('the architecture itself', async () => {
    await expect(read({ ...plain, architectures: ['MambaForCausalLM'] })).rejects.toMatchObject({
      code: 'ARCHITECTURE_UNSUPPORTED',
      details: {
        architectures: ['MambaForCausalLM'],
        supported: expect.arrayContaining(['LlamaForCausalLM', 'Gemma3ForCausalLM']),
      },
    });
  });
});

describe('an architecture', () => {
  const { gemma2, gemma3, mistral, phi3, qwen2, qwen3 } = decoderConfigs;
  const windows = async (config: object) =>
    (await read(config)).config?.layers.map(({ windowTokens }) => windowTokens);

  test('says which layers slide, and a list of their own wins', async () => {
    const of = undefined;
    const types = ['full', 'full', 'sliding', 'full'].map((kind) => `${kind}_attention`);

    expect(await windows(mistral)).toEqual([8, 8, 8, 8]);
    expect(await windows({ ...mistral, sliding_window: null })).toEqual([of, of, of, of]);
    expect(await windows(qwen2)).toEqual([of, of, of, of]);
    expect(await windows({ ...qwen2, use_sliding_window: true })).toEqual([of, of, 8, 8]);
    expect(await windows(gemma2)).toEqual([8, of, 8, of]);
    expect(await windows(gemma3)).toEqual([8, 8, of, 8]);
    expect(await windows({ ...gemma3, layer_types: types })).toEqual([of, of, 8, of]);
  });

  test('has what its config leaves out as the library that wrote it does', async () => {
    const bare = { ...plain, max_position_embeddings: 8192 };
    const gemma = await read({ ...bare, architectures: ['Gemma2ForCausalLM'] });
    const large = await read({ ...bare, architectures: ['Gemma3ForCausalLM'] });
    const qwen = await read({ ...bare, architectures: ['Qwen3ForCausalLM'] });

    expect(gemma.config).toMatchObject({
      ...{ tiedEmbeddings: true, headSize: 256, activation: 'gelu-tanh', embeddingScale: 8 },
      ...{ attentionSoftCap: 50, logitSoftCap: 30, attentionScale: 1 / 16 },
    });
    expect(large.config).not.toHaveProperty('attentionSoftCap');
    expect(large.config?.layers.map(({ rope }) => rope.theta)).toEqual([1e4, 1e4, 1e4]);
    expect(qwen.config).toMatchObject({ headSize: 128, tiedEmbeddings: false });
  });

  test('of two ways to turn is read as old and new versions of transformers write it', async () => {
    const { rope_theta, rope_local_base_freq, rope_scaling, ...rest } = gemma3;
    const recent = await read({
      ...rest,
      rope_parameters: {
        full_attention: { ...rope_scaling, rope_theta },
        sliding_attention: { rope_type: 'default', rope_theta: rope_local_base_freq },
      },
    });

    expect(recent.problems).toEqual([]);
    expect(recent.config?.layers).toEqual((await read(gemma3)).config?.layers);
  });

  test('has biases where it always has them, or where its config says so', async () => {
    const biases = async (config: object) => (await read(config)).config?.biases;
    const none = { queryKeyValue: false, attentionOut: false, mlp: false };

    expect(await biases(qwen2)).toEqual({ ...none, queryKeyValue: true });
    expect(await biases(qwen3)).toEqual(none);
    expect(await biases({ ...qwen3, attention_bias: true })).toEqual({
      ...none,
      ...{ queryKeyValue: true, attentionOut: true },
    });
    expect(await biases({ ...plain, mlp_bias: true })).toEqual({ ...none, mlp: true });
  });

  test('with LongRoPE turns by the factors of the context it is served with', async () => {
    const { config } = await read({
      ...phi3,
      original_max_position_embeddings: 16,
      rope_scaling: { type: 'su', short_factor: Array(8).fill(1), long_factor: Array(8).fill(4) },
    });
    const rope = config?.layers[0]?.rope as Rope;

    expect(inverseFrequencies(rope, 16)[0]).toBe(1);
    expect(inverseFrequencies(rope, 17)[0]).toBe(1 / 4);
    // √(1 + ln 3 / ln 16)
    expect(rope.scaling).toMatchObject({ attentionFactor: expect.closeTo(1.18163, 5) });
  });
});

describe('a config that makes no sense gives every problem', () => {
  const cases: Record<string, [config: unknown, paths: string[]]> = {
    'no JSON': ['{', ['config.json']],
    'two fields missing': [
      { ...plain, vocab_size: undefined, max_position_embeddings: undefined },
      ['config.json: $.vocab_size', 'config.json: $.max_position_embeddings'],
    ],
    'a size that is no number': [{ ...plain, hidden_size: '64' }, ['config.json: $.hidden_size']],
    'too many layers to be true': [
      { ...plain, num_hidden_layers: 1e6 },
      ['config.json: $.num_hidden_layers'],
    ],
    'key heads that do not divide': [
      { ...plain, num_key_value_heads: 3 },
      ['config.json: $.num_key_value_heads'],
    ],
    'an odd head size': [{ ...plain, head_dim: 15 }, ['config.json: $.head_dim']],
    'a hidden size that heads do not divide': [
      { ...plain, hidden_size: 66 },
      ['config.json: $.hidden_size'],
    ],
    'llama3 scaling without its numbers': [
      { ...plain, rope_scaling: { rope_type: 'llama3', factor: 2 } },
      ['config.json: $.rope_scaling'],
    ],
    'LongRoPE with lists of another length': [
      {
        ...plain,
        rope_scaling: { type: 'longrope', short_factor: [1, 2], long_factor: [1, 2] },
      },
      ['config.json: $.rope_scaling'],
    ],
    'linear scaling without a factor': [
      { ...plain, rope_parameters: { rope_type: 'linear' } },
      ['config.json: $.rope_parameters'],
    ],
    'a part of a head turned that is not computed': [
      { ...plain, head_dim: 24, partial_rotary_factor: 0.5 },
      ['config.json: $.partial_rotary_factor'],
    ],
    'a list of layers that is too short': [
      { ...plain, layer_types: ['full_attention'] },
      ['config.json: $.layer_types'],
    ],
    'an end token outside the vocabulary': [
      { ...plain, eos_token_id: 100 },
      ['config.json: $.eos_token_id, $.bos_token_id'],
    ],
  };
  for (const [name, [config, paths]] of Object.entries(cases)) {
    test(name, async () => {
      const result = await read(config);

      expect(result.config).toBeUndefined();
      expect(result.problems.map(({ path }) => path)).toEqual(paths);
    });
  }
});
