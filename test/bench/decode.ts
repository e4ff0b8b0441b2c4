/**
 * Single-stream decode, k shards as served over HTTP against one unsplit session in this process: one thread each,
 * spinning off in all, rounds interleaved in one run. Two models: the tiny assistant, and random weights of 100 million
 * parameters. The last column is what splitting and serving leave of the unsplit speed.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadOnnxRuntime, loadStage, splitModel, splitters } from '../../runtime/model/index.ts';
import { writeTestModel } from '../support/checkpoint.ts';
import { System, tinyAssistant } from '../support/system.ts';

const rounds = 3;
const shardCounts = [1, 2, 3];
const promptTokens = Array.from({ length: 16 }, (_, i) => 5 + i);
const sampling = { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1, seed: 0 };

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** @returns tokens a second after the first, of the whole model in this process */
async function unsplit(modelFolder: string, scratch: string, tokens: number) {
  const outFolder = join(scratch, 'whole');
  const plan = await splitModel({
    modelFolder,
    outFolder,
    splitters,
    plan: async () => ({ firstLayers: [0] }),
    maxSessions: 1,
  });
  const stage = plan.components[0]?.stage;
  if (!stage) throw new Error('the plan has no stage');
  const graph = join(outFolder, plan.shards[0]?.folder ?? '', stage.graph);
  const runner = await loadStage(await loadOnnxRuntime(), graph, stage, {
    threads: 1,
    spin: false,
  });
  return async () => {
    runner.open(0, { promptTokens, sampling });
    const next = async (ids: readonly number[], position: number) => {
      const input = Int32Array.from(ids).buffer;
      const step = await runner.run({ slot: 0, position, rows: ids.length, input, sample: true });
      return step.type === 'token' ? step.token : 0;
    };
    let token = await next(promptTokens, 0);
    const startedMs = performance.now();
    for (let made = 1; made < tokens; made += 1) {
      token = await next([token], promptTokens.length + made - 1);
    }
    return ((tokens - 1) * 1000) / (performance.now() - startedMs);
  };
}

/** @returns tokens a second after the first, over HTTP */
async function served(url: string, model: string, tokens: number): Promise<number> {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      prompt: promptTokens,
      max_tokens: tokens,
      temperature: 0,
      ignore_eos: true,
      stream: true,
      return_token_ids: true,
    }),
  });
  if (!response.ok || !response.body) throw new Error(await response.text());
  let firstMs = 0;
  let lastMs = 0;
  let seen = 0;
  let first = 0;
  for await (const chunk of response.body) {
    const events = new TextDecoder().decode(chunk).split('"token_ids":[').length - 1;
    if (events === 0) continue;
    lastMs = performance.now();
    seen += events;
    if (firstMs === 0) {
      firstMs = lastMs;
      first = events;
    }
  }
  return ((seen - first) * 1000) / (lastMs - firstMs);
}

async function measure(title: string, modelFolder: string, tokens: number) {
  const scratch = await mkdtemp(join(tmpdir(), 'aios-bench-'));
  const system = await System.start();
  try {
    await system.cluster('bench', 8, 4 * 2 ** 30, 4);
    const models = new Map<number, string>();
    for (const k of shardCounts)
      models.set(k, await system.model(modelFolder, k, '--max-sessions', '1'));
    const whole = await unsplit(modelFolder, scratch, tokens);
    const figures = new Map<number, number[]>([
      [0, []],
      ...shardCounts.map((k) => [k, []] as [number, number[]]),
    ]);
    for (let round = 0; round <= rounds; round += 1) {
      const wholeNow = await whole();
      if (round > 0) figures.get(0)?.push(wholeNow);
      for (const [k, model] of models) {
        const now = await served(system.url, model, tokens);
        if (round > 0) figures.get(k)?.push(now);
      }
    }
    const base = median(figures.get(0) ?? []);
    console.log(`\n${title}, ${tokens} tokens, median of ${rounds} rounds`);
    console.log('  shards     tokens/s    of unsplit');
    for (const [k, values] of figures) {
      const label = k === 0 ? 'unsplit' : String(k);
      console.log(
        `  ${label.padEnd(8)} ${median(values).toFixed(1).padStart(10)} ${(median(values) / base).toFixed(3).padStart(12)}`,
      );
    }
  } finally {
    await system.stop();
    await rm(scratch, { recursive: true, force: true });
  }
}

const large = await mkdtemp(join(tmpdir(), 'aios-bench-model-'));
try {
  await measure('tiny assistant (3.3 M parameters)', tinyAssistant, 200);
  await writeTestModel(large, {
    vocabularySize: 768,
    hiddenSize: 768,
    intermediateSize: 2048,
    layers: 16,
    heads: 12,
    keyValueHeads: 4,
    contextTokens: 256,
    tied: true,
    dtype: 'F32',
  });
  await measure('random weights (103 M parameters)', large, 64);
} finally {
  await rm(large, { recursive: true, force: true });
}
