import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SplitPlan } from 'aios-sdk';
import { createStageExecutor } from 'aios-sdk/runtime';

/** The whole model in one ONNX session in this process: what the split one must agree with. */
export interface UnsplitModel {
  /** Greedy. @returns the answer's tokens, without the one that ended it */
  answer(prompt: readonly number[]): Promise<number[]>;
  close(): Promise<void>;
}

/** @param folder - what `aios split --shards 1` wrote */
export async function loadUnsplit(folder: string): Promise<UnsplitModel> {
  const plan: SplitPlan = JSON.parse(await readFile(join(folder, 'plan.json'), 'utf8'));
  const stage = plan.components[0]?.stage;
  const generation = plan.vdag.generation;
  if (!stage || !generation) throw new Error(`${folder} holds no language model`);
  const executor = await createStageExecutor({
    graphPath: join(folder, plan.shards[0]?.folder ?? '', stage.graph),
    stage,
    threads: 1,
  });
  const sampling = { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1, seed: 0 };

  return {
    async answer(prompt) {
      const session = 'reference';
      executor.open(session, { promptTokens: prompt, sampling });
      try {
        const tokens: number[] = [];
        let rows: readonly number[] = prompt;
        for (let position = 0; position + rows.length <= plan.contextTokens; ) {
          const input = new Uint8Array(Int32Array.from(rows).buffer);
          const step = { session, position, rows: rows.length, input, sample: true };
          const result = await executor.step(step);
          if (result.type !== 'token' || generation.endTokenIds.includes(result.token)) break;
          tokens.push(result.token);
          position += rows.length;
          rows = [result.token];
        }
        return tokens;
      } finally {
        executor.closeSession(session);
      }
    },
    close: () => executor.close(),
  };
}
