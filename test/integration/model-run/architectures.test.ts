import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { splitModel } from '../../../runtime/model/split.ts';
import { splitters } from '../../../runtime/model/splitters/index.ts';
import type { StageExecutor } from '../../../runtime/model/stage.ts';
import { createStageExecutor } from '../../../runtime/model/stage-executor.ts';
import { createRandom } from '../../support/checkpoint.ts';
import {
  type DecoderModel,
  type DecoderModelOptions,
  writeDecoderModel,
} from '../../support/decoder-models.ts';
import { ReferenceDecoder } from '../../support/reference-decoder.ts';
import { logProbabilities } from '../../support/reference-math.ts';
import { type Answer, answer, greedySampling } from '../../support/stages.ts';

const scratch = await mkdtemp(join(tmpdir(), 'aios-architectures-'));
afterAll(() => rm(scratch, { recursive: true }));

const maxTokens = 14;
const longRope = {
  original_max_position_embeddings: 16,
  rope_scaling: {
    type: 'longrope',
    short_factor: Array(8).fill(1),
    long_factor: Array.from({ length: 8 }, (_, pair) => 1 + pair),
  },
};

const models: Record<string, DecoderModelOptions> = {
  llama: {
    family: 'llama',
    config: {
      rope_scaling: {
        ...{ rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
        original_max_position_embeddings: 16,
      },
    },
  },
  mistral: { family: 'mistral', dtype: 'BF16' },
  qwen2: { family: 'qwen2', config: { use_sliding_window: true } },
  qwen3: { family: 'qwen3', dtype: 'BF16' },
  phi3: { family: 'phi3', config: longRope },
  gemma2: { family: 'gemma2' },
  gemma3: { family: 'gemma3', dtype: 'BF16', config: { vocab_size: 53, hidden_size: 60 } },
};

describe.each(Object.entries(models))('%s', (name, options) => {
  const folder = join(scratch, name);
  let model: DecoderModel;
  let reference: ReferenceDecoder;
  const prompts = [17, 5, 9].map((length, seed) => {
    const random = createRandom(seed);
    return Array.from({ length }, () => Math.floor(random() * 51));
  });

  beforeAll(async () => {
    model = await writeDecoderModel(join(folder, 'model'), options);
    reference = new ReferenceDecoder(model);
  });

  async function start(shards: number): Promise<StageExecutor[]> {
    const outFolder = join(folder, `split-${shards}`);
    const { components, shards: written } = await splitModel({
      modelFolder: model.folder,
      ...{ outFolder, splitters, maxSessions: 4 },
      plan: async ({ layers }) => ({
        firstLayers: shards === 1 ? [0] : [0, layers.length / 2 + 1],
      }),
      hashCachePath: join(folder, 'hashes.json'),
    });
    return Promise.all(
      components.map(({ stage }, index) => {
        if (!stage) throw new Error(`component ${index} has no stage`);
        const graphPath = join(outFolder, written[index]?.folder ?? '', stage.graph);
        return createStageExecutor({ graphPath, stage, threads: 1 });
      }),
    );
  }

  const ask = (executors: readonly StageExecutor[], session: number): Promise<Answer> =>
    answer(executors, {
      session: `s${session}`,
      promptTokens: prompts[session] ?? [],
      ...{ maxTokens, chunkRows: 6, sampling: { ...greedySampling, logprobs: 20 } },
    });

  function expectAsReference({ tokens, top }: Answer, prompt: readonly number[]): void {
    const logits = reference.allLogits([...prompt, ...tokens]).slice(prompt.length - 1, -1);
    expect(tokens).toHaveLength(maxTokens);
    for (const [step, row] of logits.entries()) {
      const expected = logProbabilities(row);
      const alternatives = top[step] ?? [];
      expect(alternatives).toHaveLength(20);
      const gaps = alternatives.map(([id, logprob]) => Math.abs(logprob - (expected[id] ?? 0)));
      expect(Math.max(...gaps)).toBeLessThan(1e-4);
      // A tie within the tolerance may be broken either way.
      const best = Math.max(...expected);
      expect(best - (expected[tokens[step] ?? -1] ?? -99)).toBeLessThan(1e-4);
    }
  }

  it.each([1, 2])(
    'answers as the reference, from %i stages, alone and in a batch',
    async (shards) => {
      const executors = await start(shards);
      try {
        const alone: Answer[] = [];
        for (const [session, prompt] of prompts.entries()) {
          alone.push(await ask(executors, session));
          expectAsReference(alone[session] as Answer, prompt);
        }

        const together = await Promise.all(prompts.map((_, session) => ask(executors, session)));

        expect(together).toEqual(alone);
        expect(executors[0]?.counters.maxBatchSteps).toBeGreaterThan(1);
      } finally {
        await Promise.all(executors.map((executor) => executor.close()));
      }
    },
  );
});
