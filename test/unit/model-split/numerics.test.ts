import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createRandom, type TestModelOptions, writeTestModel } from '../../support/checkpoint.ts';
import { ReferenceDecoder } from '../../support/reference-decoder.ts';
import { largestGap } from '../../support/reference-math.ts';
import { ChainedStages } from './chained-stages.ts';
import { split, temporaryFolder } from './workspace.ts';

const prefillTokens = 7;
const decodeTokens = 6;

function randomTokens(count: number, vocabularySize: number): number[] {
  const random = createRandom(99);
  return Array.from({ length: count }, () => Math.floor(random() * vocabularySize));
}

/** Logits after a prefill and after each decoded token. */
async function logitsOf(splitFolder: string, tokens: readonly number[]): Promise<Float32Array[]> {
  const stages = await ChainedStages.load(splitFolder);
  const logits = [await stages.step(tokens.slice(0, prefillTokens))];
  for (const token of tokens.slice(prefillTokens)) logits.push(await stages.step([token]));
  await stages.release();
  return logits;
}

const models: Record<string, TestModelOptions> = {
  'grouped heads, an untied head, F32': {},
  'tied embeddings, F16': { tied: true, dtype: 'F16' },
  'an untied head, BF16, three files': { dtype: 'BF16', files: 3 },
  'tied embeddings, BF16': { tied: true, dtype: 'BF16' },
  'one key head for all queries, heads of 16 numbers': { keyValueHeads: 1, headSize: 16 },
  'heads of 6 numbers': { headSize: 6 },
  'heads of 24 numbers': { headSize: 24, tied: true },
  'a key head for each query, another theta': { keyValueHeads: 4, ropeTheta: 500_000 },
  'types mixed within a model': {
    tied: true,
    files: 2,
    dtype: (name) => (name.includes('norm') ? 'F32' : name.includes('mlp') ? 'BF16' : 'F16'),
  },
};

describe('a chain of stages computes what the reference computes', () => {
  for (const [name, options] of Object.entries(models)) {
    test(name, async () => {
      const folder = await temporaryFolder();
      const model = await writeTestModel(join(folder, 'model'), options);
      const reference = new ReferenceDecoder(model);
      const tokens = randomTokens(prefillTokens + decodeTokens, model.sizes.vocabularySize);
      const expected = Array.from({ length: decodeTokens + 1 }, (_, decoded) =>
        reference.logits(tokens.slice(0, prefillTokens + decoded)),
      );

      const whole: Float32Array[] = [];
      for (const shards of [1, 2, 3, 4]) {
        const out = join(folder, `split-${shards}`);
        await split(model.folder, out, { shards });
        const logits = await logitsOf(out, tokens);
        if (shards === 1) whole.push(...logits);

        for (const [step, row] of logits.entries()) {
          expect(largestGap(row, expected[step]!)).toBeLessThan(1e-4);
          expect(row).toEqual(whole[step]);
        }
      }
    });
  }

  test('copied weights give the bits of linked ones', async () => {
    const folder = await temporaryFolder();
    const model = await writeTestModel(join(folder, 'model'), { dtype: 'BF16', files: 2 });
    const tokens = randomTokens(10, model.sizes.vocabularySize);
    await split(model.folder, join(folder, 'linked'), { shards: 3 });
    await split(model.folder, join(folder, 'copied'), { shards: 3, copy: true });

    const linked = await logitsOf(join(folder, 'linked'), tokens);
    const copied = await logitsOf(join(folder, 'copied'), tokens);

    expect(copied).toEqual(linked);
  });

  test('a shorter context than the model was made for changes nothing within it', async () => {
    const folder = await temporaryFolder();
    const model = await writeTestModel(join(folder, 'model'), { contextTokens: 256 });
    const tokens = randomTokens(12, model.sizes.vocabularySize);
    await split(model.folder, join(folder, 'full'));
    await split(model.folder, join(folder, 'short'), { contextTokens: 12 });

    const short = await logitsOf(join(folder, 'short'), tokens);

    expect(short).toEqual(await logitsOf(join(folder, 'full'), tokens));
  });

  test('a prompt in chunks gives the logits of the prompt at once', async () => {
    const folder = await temporaryFolder();
    const model = await writeTestModel(join(folder, 'model'), { tied: true });
    const tokens = randomTokens(21, model.sizes.vocabularySize);
    await split(model.folder, join(folder, 'out'), { shards: 2 });
    const stages = await ChainedStages.load(join(folder, 'out'));

    const atOnce = await stages.step(tokens);
    stages.reset();
    await stages.step(tokens.slice(0, 8));
    await stages.step(tokens.slice(8, 13));
    const inChunks = await stages.step(tokens.slice(13));

    expect(largestGap(inChunks, atOnce)).toBeLessThan(1e-5);
    await stages.release();
  });
});

interface GoldenRow {
  readonly promptTokens: readonly number[];
  readonly tokens: readonly number[];
  readonly exact: number;
  readonly top5LogitsFirst: readonly (readonly [token: number, logit: number])[];
}

describe('the shipped model', () => {
  const modelFolder = resolve(import.meta.dirname, '../../../examples/models/tiny-assistant');

  for (const shards of [1, 2, 3, 4, 8]) {
    test(`gives the golden tokens from ${shards} stages`, async () => {
      const folder = await temporaryFolder();
      const golden = JSON.parse(await readFile(join(modelFolder, 'golden.json'), 'utf8'));
      await split(modelFolder, join(folder, 'out'), { shards });
      const stages = await ChainedStages.load(join(folder, 'out'));

      for (const row of (golden.rows as GoldenRow[]).slice(0, 6)) {
        stages.reset();
        let logits = await stages.step(row.promptTokens);
        for (const [token, logit] of row.top5LogitsFirst) {
          expect(Math.abs(logits[token]! - logit)).toBeLessThan(1e-3);
        }
        for (const expected of row.tokens.slice(0, row.exact)) {
          expect(logits.indexOf(Math.max(...logits))).toBe(expected);
          logits = await stages.step([expected]);
        }
      }
      await stages.release();
    });
  }
});
