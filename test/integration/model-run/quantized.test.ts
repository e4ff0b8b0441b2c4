import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadOnnxRuntime } from '../../../runtime/model/onnx-runtime.ts';
import { splitModel } from '../../../runtime/model/split.ts';
import { splitters } from '../../../runtime/model/splitters/index.ts';
import { loadStage, type SlotStep, type StageRunner } from '../../../runtime/model/stage-runner.ts';
import type { WeightDtype } from '../../../sdk/spec/plan.ts';
import { createRandom } from '../../support/checkpoint.ts';
import {
  type DecoderModel,
  type DecoderModelOptions,
  writeDecoderModel,
} from '../../support/decoder-models.ts';
import { ReferenceDecoder } from '../../support/reference-decoder.ts';
import { greedySampling } from '../../support/stages.ts';
import { readStoredWeights } from '../../support/stored-weights.ts';
import { ChainedStages, readPlan } from '../../unit/model-split/chained-stages.ts';

const scratch = await mkdtemp(join(tmpdir(), 'aios-quantized-'));
afterAll(() => rm(scratch, { recursive: true }));

const models: Record<string, DecoderModelOptions> = {
  llama: { family: 'llama', dtype: 'BF16' },
  mistral: { family: 'mistral', dtype: 'BF16', files: 2 },
  qwen2: { family: 'qwen2', config: { use_sliding_window: true } },
  qwen3: { family: 'qwen3', dtype: 'F16' },
  phi3: { family: 'phi3', dtype: 'BF16' },
  gemma2: { family: 'gemma2' },
  gemma3: { family: 'gemma3', dtype: 'BF16', config: { vocab_size: 53, hidden_size: 60 } },
};
/** With activations rounded to int8 by block: of differences, against that of logits, as root mean squares. */
const roundedTolerance = 0.06;
/** With activations as they are, likewise. */
const exactTolerance = 1e-5;

const tokens = (() => {
  const random = createRandom(7);
  return Array.from({ length: 20 }, () => Math.floor(random() * 51));
})();
const promptTokens = tokens.slice(0, 12);

/** After the prompt, in two chunks, and after each token. */
async function logitsOf(folder: string): Promise<Float32Array[]> {
  const stages = await ChainedStages.load(folder);
  await stages.step(promptTokens.slice(0, 7));
  const logits = [await stages.step(promptTokens.slice(7))];
  for (const token of tokens.slice(promptTokens.length)) logits.push(await stages.step([token]));
  await stages.release();
  return logits;
}

const meanSquare = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value * value, 0) / values.length;

function relativeGap(rows: readonly Float32Array[], expected: readonly Float64Array[]): number {
  const references = expected.flatMap((row) => [...row]);
  const gaps = rows.flatMap((row) => [...row]).map((value, at) => value - (references[at] ?? 0));
  return Math.sqrt(meanSquare(gaps) / meanSquare(references));
}

/** The same graph with products of floats: `accuracy_level` 0 in the place of 4. */
async function withExactProducts(graphPath: string): Promise<void> {
  const graph = await readFile(graphPath);
  const name = Buffer.from('accuracy_level');
  for (let at = graph.indexOf(name); at !== -1; at = graph.indexOf(name, at + 1)) {
    const value = at + name.length;
    expect([...graph.subarray(value, value + 2)]).toEqual([0x18, 4]);
    graph[value + 1] = 0;
  }
  await writeFile(graphPath, graph);
}

describe.each(Object.entries(models))('%s', (name, options) => {
  const folder = join(scratch, name);
  let model: DecoderModel;
  beforeAll(async () => {
    model = await writeDecoderModel(join(folder, 'model'), options);
  });

  const split = async (dtype: WeightDtype, shards: number): Promise<string> => {
    const outFolder = join(folder, `${dtype}-${shards}`);
    await splitModel({
      ...{ modelFolder: model.folder, outFolder, splitters, dtype, maxSessions: 4 },
      plan: async () => ({ firstLayers: [0, 1, 3].slice(0, shards) }),
      hashCachePath: join(folder, 'hashes.json'),
    });
    return outFolder;
  };

  it.each(['fp32', 'fp16', 'int8', 'int4'] as const)(
    'in %s computes what the reference does with the stored numbers, however it is cut',
    async (dtype) => {
      const whole = await split(dtype, 1);
      const graphPath = join(whole, 'shard-0', 'stage.onnx');
      const stored = await readStoredWeights(graphPath, model.tensors);
      const reference = new ReferenceDecoder({ config: model.config, tensors: stored });
      const expected = reference.allLogits(tokens).slice(promptTokens.length - 1);

      const logits = await logitsOf(whole);

      const isRounded = dtype === 'int8' || dtype === 'int4';
      const gap = relativeGap(logits, expected);
      expect(gap).toBeLessThan(isRounded ? roundedTolerance : exactTolerance);
      for (const shards of [2, 3])
        expect(await logitsOf(await split(dtype, shards))).toEqual(logits);
      if (!isRounded) return;
      await withExactProducts(graphPath);
      expect(relativeGap(await logitsOf(whole), expected)).toBeLessThan(exactTolerance);
    },
  );

  it.each(['int8', 'int4'] as const)('in %s answers in a batch as alone', async (dtype) => {
    const whole = await split(dtype, 1);
    const { components } = await readPlan(whole);
    const stage = components[0]?.stage;
    if (!stage) throw new Error('no stage');
    const runner = await loadStage(
      await loadOnnxRuntime(),
      join(whole, 'shard-0', stage.graph),
      stage,
      { threads: 1 },
    );
    const prompts = [12, 3, 7, 1].map((length) => tokens.slice(0, length));
    const alone = [];
    for (const prompt of prompts) alone.push(await answerAll(runner, [prompt]));

    const together = await answerAll(runner, prompts);

    expect(together).toEqual(alone.flat());
    await runner.release();
  });
});

/** Ten tokens after each prompt, with the best twenty and their numbers, one row of all at once. */
async function answerAll(runner: StageRunner, prompts: readonly (readonly number[])[]) {
  const sampling = { ...greedySampling, logprobs: 20 };
  const answers = prompts.map(() => [] as unknown[]);
  const steps: SlotStep[] = [];
  const next = (slot: number, position: number, ids: readonly number[]): SlotStep => ({
    ...{ slot, position, rows: ids.length, sample: true },
    input: Int32Array.from(ids).buffer,
  });
  for (const [slot, prompt] of prompts.entries()) {
    runner.open(slot, { promptTokens: prompt, sampling });
    const first = await runner.run(next(slot, 0, prompt));
    if (first.type !== 'token') throw new Error(first.type);
    answers[slot]?.push([first.token, first.top]);
    steps.push(next(slot, prompt.length, [first.token]));
  }
  for (let made = 1; made < 10; made += 1) {
    const [only] = steps;
    const outcomes =
      steps.length === 1 && only ? [await runner.run(only)] : await runner.runBatch(steps);
    for (const [slot, outcome] of outcomes.entries()) {
      if (outcome.type !== 'token') throw new Error(outcome.type);
      answers[slot]?.push([outcome.token, outcome.top]);
      steps[slot] = next(slot, (steps[slot]?.position ?? 0) + 1, [outcome.token]);
    }
  }
  return answers;
}
