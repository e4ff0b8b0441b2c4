import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type TestModelOptions, writeTestModel } from '../support/checkpoint.ts';
import {
  type DecoderModel,
  type DecoderModelOptions,
  writeDecoderModel,
} from '../support/decoder-models.ts';
import { ReferenceDecoder } from '../support/reference-decoder.ts';
import { System } from '../support/system.ts';

let system: System;
const scratch = mkdtempSync(join(tmpdir(), 'aios-models-'));

beforeAll(async () => {
  system = await System.start();
  await system.cluster('west', 10, 600 * 2 ** 20);
});

afterAll(async () => {
  await system?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const shapes: Record<string, TestModelOptions> = {
  'grouped-untied-bf16-files': {
    layers: 5,
    heads: 6,
    keyValueHeads: 2,
    hiddenSize: 96,
    headSize: 32,
    tied: false,
    dtype: 'BF16',
    files: 3,
  },
  'plain-tied-f32': {
    layers: 3,
    heads: 4,
    keyValueHeads: 4,
    hiddenSize: 64,
    tied: true,
    dtype: 'F32',
  },
  'one-key-head-f16': {
    layers: 4,
    heads: 4,
    keyValueHeads: 1,
    hiddenSize: 64,
    tied: false,
    dtype: 'F16',
    ropeTheta: 500_000,
  },
};

const families: readonly DecoderModelOptions[] = [
  { family: 'qwen2', dtype: 'BF16' },
  { family: 'phi3' },
  { family: 'gemma3', dtype: 'BF16' },
];

const models: readonly (readonly [string, (folder: string) => Promise<DecoderModel>])[] = [
  ...Object.entries(shapes).map(
    ([name, options]) =>
      [
        name,
        (folder: string) => writeTestModel(folder, { contextTokens: 64, ...options }),
      ] as const,
  ),
  ...families.map(
    (options) => [options.family, (folder: string) => writeDecoderModel(folder, options)] as const,
  ),
];

it.each(models)(
  '%s in three shards answers as the independent computation',
  async (name, write) => {
    const model = await write(join(scratch, name));
    const reference = new ReferenceDecoder(model);
    const served = await system.model(model.folder, 3);
    const prompt = [3, 17, 29, 5, 41, 8, 8, 12, 30];

    const response = await fetch(`${system.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: served,
        prompt,
        max_tokens: 20,
        temperature: 0,
        ignore_eos: true,
        logprobs: 1,
        return_token_ids: true,
      }),
    });
    const answer = (await response.json()) as {
      choices: { token_ids: number[]; logprobs: { token_logprobs: number[] } }[];
    };

    const { token_ids: tokens, logprobs } = answer.choices[0]!;
    expect(tokens).toHaveLength(20);
    for (const [i, token] of tokens.entries()) {
      const logits = reference.logits([...prompt, ...tokens.slice(0, i)]);
      const best = Math.max(...logits);
      const total = best + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - best), 0));
      // Random weights leave near ties: any token within the tolerance of the best is a right answer.
      expect(best - logits[token]!).toBeLessThan(1e-3);
      expect(Math.abs(logprobs.token_logprobs[i]! - (logits[token]! - total))).toBeLessThan(1e-3);
    }
  },
);
