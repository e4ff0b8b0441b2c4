import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadOnnxRuntime, loadStage, splitModel, splitters } from '../../../runtime/model/index.ts';
import { splitOptions } from './split-options.ts';

const sampling = { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1, seed: 0 };

/** The whole model as one session of this process: the same graph, its cache in place, nothing between two steps. */
export interface Unsplit {
  /** Answers greedily. @returns when each token was there, by `performance.now()` */
  answer(
    promptTokens: readonly number[],
    tokens: number,
  ): Promise<{ readonly startedMs: number; readonly tokenMs: readonly number[] }>;
  close(): Promise<void>;
}

/** One thread, which does not spin. */
export async function loadUnsplit(
  modelFolder: string,
  dtype: string,
  contextTokens: number,
): Promise<Unsplit> {
  const scratch = await mkdtemp(join(tmpdir(), 'aios-bench-'));
  const outFolder = join(scratch, 'whole');
  const plan = await splitModel({
    ...{ modelFolder, outFolder, splitters, contextTokens, maxSessions: 1 },
    ...splitOptions(dtype),
    plan: async () => ({ firstLayers: [0] }),
  });
  const stage = plan.components[0]?.stage;
  if (!stage) throw new Error('the plan has no stage');
  const graph = join(outFolder, plan.shards[0]?.folder ?? '', stage.graph);
  const runner = await loadStage(await loadOnnxRuntime(), graph, stage, {
    ...{ threads: 1, spin: false },
  });
  const next = async (ids: readonly number[], position: number) => {
    const input = Int32Array.from(ids).buffer;
    const step = await runner.run({ slot: 0, position, rows: ids.length, input, sample: true });
    if (step.type !== 'token') throw new Error('the whole model gave no token');
    return step.token;
  };
  return {
    async answer(promptTokens, tokens) {
      runner.open(0, { promptTokens, sampling });
      const startedMs = performance.now();
      let token = await next(promptTokens, 0);
      const tokenMs = [performance.now()];
      for (let made = 1; made < tokens; made += 1) {
        token = await next([token], promptTokens.length + made - 1);
        tokenMs.push(performance.now());
      }
      return { startedMs, tokenMs };
    },
    async close() {
      await runner.release();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}
