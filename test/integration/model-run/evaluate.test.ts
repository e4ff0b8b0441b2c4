import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { evaluateSplit } from '../../../runtime/model/evaluate/evaluate.ts';
import { type SplitModelOptions, splitModel } from '../../../runtime/model/split.ts';
import { splitters } from '../../../runtime/model/splitters/index.ts';
import { createRandom, writeTestModel } from '../../support/checkpoint.ts';
import { ReferenceDecoder } from '../../support/reference-decoder.ts';
import { logProbabilities } from '../../support/reference-math.ts';
import { readStoredWeights } from '../../support/stored-weights.ts';
import { readGolden, tinyAssistantFolder } from '../../support/tiny-assistant.ts';

const scratch = await mkdtemp(join(tmpdir(), 'aios-evaluate-'));
afterAll(() => rm(scratch, { recursive: true }));

async function split(modelFolder: string, name: string, options: Partial<SplitModelOptions> = {}) {
  const outFolder = join(scratch, name);
  await splitModel({
    ...{ modelFolder, outFolder, splitters, maxSessions: 2 },
    plan: async () => ({ firstLayers: [0, 1, 3] }),
    hashCachePath: join(scratch, 'hashes.json'),
    ...options,
  });
  return outFolder;
}

describe('a split is measured against its model', () => {
  it('as a plain computation of both would', async () => {
    const model = await writeTestModel(join(scratch, 'model'), { dtype: 'BF16' });
    const random = createRandom(3);
    // The tokenizer's tokens are characters.
    const tokens = Array.from({ length: 70 }, () => Math.floor(random() * 48));
    const text = String.fromCharCode(...tokens.map((token) => 33 + token));
    const planFolder = await split(model.folder, 'int4', { dtype: 'int4' });
    const whole = await split(model.folder, 'whole', {
      dtype: 'int4',
      plan: async () => ({ firstLayers: [0] }),
    });
    const stored = await readStoredWeights(join(whole, 'shard-0', 'stage.onnx'), model.tensors);
    const before = await readdir(scratch);

    const options = { againstFolder: model.folder, text, windowTokens: 20 };
    const found = await evaluateSplit({ planFolder, ...options });

    expect(await readdir(scratch)).toEqual(before);
    expect(found).toMatchObject({ windows: 3, tokens: 57 });
    const windows = [0, 20, 40].map((from) => tokens.slice(from, from + 20));
    const scored = (tensors: typeof model.tensors) => {
      const reference = new ReferenceDecoder({ config: model.config, tensors });
      return windows.flatMap((window) =>
        reference.allLogits(window.slice(0, -1)).map((logits, at) => {
          const best = logits.indexOf(Math.max(...logits));
          return { best, logprob: logProbabilities(logits)[window[at + 1] ?? 0] ?? 0 };
        }),
      );
    };
    const [exact, rounded] = [scored(model.tensors), scored(stored)];
    const perplexity = (rows: typeof exact) =>
      Math.exp(-rows.reduce((sum, { logprob }) => sum + logprob, 0) / rows.length);
    expect(found.againstPerplexity).toBeCloseTo(perplexity(exact), 3);
    // Activations are rounded, too.
    expect(Math.abs(found.perplexity / perplexity(rounded) - 1)).toBeLessThan(0.01);
    const same = exact.filter(({ best }, at) => best === rounded[at]?.best).length / exact.length;
    expect(Math.abs(found.topAgreement - same)).toBeLessThan(0.1);
    // However it is cut, but for the last bits: the last shard alone reads token by token.
    const other = await evaluateSplit({ planFolder: whole, ...options });
    expect(Math.abs(other.perplexity / found.perplexity - 1)).toBeLessThan(1e-3);
  });

  it('and a shipped model loses little in int8, more in int4, and nothing in fp16', async () => {
    const text = readGolden()
      .rows.slice(0, 6)
      .map((row) => row.prompt + row.text)
      .join('\n');
    const against = await split(tinyAssistantFolder, 'assistant');
    const measured = await Promise.all(
      (['fp16', 'int8', 'int4'] as const).map(async (dtype) => {
        const planFolder = await split(tinyAssistantFolder, dtype, { dtype });
        return evaluateSplit({ planFolder, againstFolder: against, text });
      }),
    );

    const [fp16, int8, int4] = measured.map((found) => ({
      change: Math.abs(found.perplexity / found.againstPerplexity - 1),
      ...found,
    }));
    expect(fp16).toMatchObject({ change: 0, topAgreement: 1, meanLogprobGap: 0 });
    expect(int8?.change).toBeLessThan(0.01);
    expect(int8?.topAgreement).toBeGreaterThan(0.98);
    expect(int4?.change).toBeLessThan(0.05);
    expect(int4?.topAgreement).toBeGreaterThan(0.9);
    expect(int4?.meanLogprobGap).toBeGreaterThan(int8?.meanLogprobGap ?? 1);
  });

  it('with a text of two tokens or more, and can be stopped', async () => {
    const planFolder = await split(tinyAssistantFolder, 'refusals', { dtype: 'int8' });
    const options = { planFolder, againstFolder: tinyAssistantFolder };
    await expect(evaluateSplit({ ...options, text: 'a' })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
    await expect(
      evaluateSplit({ ...options, text: 'Hello, you.', signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(
      evaluateSplit({ ...options, planFolder: tinyAssistantFolder, text: 'Hello.' }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
