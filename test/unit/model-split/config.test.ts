import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readLlamaConfig } from '../../../runtime/model/config.ts';
import { inverseFrequencies } from '../../../runtime/model/llama/rotary.ts';
import type { Problem } from '../../../sdk/errors.ts';
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
  return { config: await readLlamaConfig(folder, problems), problems };
}

test('what a config leaves out has the defaults of Llama', async () => {
  const { config, problems } = await read(plain);

  expect(problems).toEqual([]);
  expect(config).toMatchObject({
    heads: 4,
    keyValueHeads: 4,
    headSize: 16,
    ropeTheta: 10_000,
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

  expect(old.config?.ropeTheta).toBe(5e5);
  expect(recent.config).toEqual(old.config);
  expect(old.config?.ropeScaling).toMatchObject({ factor: 8, originalContextTokens: 32 });
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

  const scaled = inverseFrequencies(config!);

  const unscaled = inverseFrequencies({ ...config!, ropeScaling: undefined });
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
    attention_bias: { attention_bias: true },
    mlp_bias: { mlp_bias: true },
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
      details: { architectures: ['MambaForCausalLM'] },
    });
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
