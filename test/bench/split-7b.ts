/**
 * Splits a random checkpoint of Mistral-7B's sizes (bfloat16, 14.5 GB) to int4 in three shards, in a process of its
 * own, and runs each shard in one: a chunk of a prompt, then one token. Needs 20 GB of disk; what it wrote is removed,
 * but for `--keep`. `--size 103m` tries it out on a small model.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadOnnxRuntime, loadStage, splitModel, splitters } from '../../runtime/model/index.ts';
import type { SplitPlan, WeightDtype } from '../../sdk/spec/plan.ts';
import { formatBytes } from '../../sdk/units.ts';
import { type RandomModelName, randomModel } from '../support/random-model.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    keep: { type: 'boolean', default: false },
    size: { type: 'string', default: '7b' },
    dtype: { type: 'string', default: 'int4' },
    shards: { type: 'string', default: '3' },
  },
});
const shards = Number(values.shards);
const contextTokens = 1024;
const promptTokens = Array.from({ length: 16 }, (_, i) => 5 + i);
const sampling = { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1, seed: 0 };
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
/** Kilobytes, on Linux and macOS as Node gives it. */
const peakBytes = () => process.resourceUsage().maxRSS * 1024;

interface SplitReport {
  readonly ms: number;
  readonly cpuMs: number;
  readonly peakBytes: number;
  readonly plan: SplitPlan;
}

interface ShardReport {
  readonly loadMs: number;
  readonly chunkMs: number;
  readonly stepMs: number;
  readonly peakBytes: number;
  readonly settledBytes: number;
  readonly token?: number;
}

/** Runs this file again, as a process whose memory is its own. */
async function inProcess<T>(...words: readonly string[]): Promise<T> {
  const options = ['--dtype', values.dtype, '--shards', values.shards];
  const child = spawn(process.execPath, [process.argv[1] ?? '', ...options, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${words[0]} ended with code ${code}`);
  return JSON.parse(out) as T;
}

async function split(modelFolder: string, outFolder: string): Promise<SplitReport> {
  const started = performance.now();
  let said = 0;
  const plan = await splitModel({
    ...{ modelFolder, outFolder, splitters, contextTokens, maxSessions: 1 },
    dtype: values.dtype as WeightDtype,
    plan: async ({ layers }) => ({
      firstLayers: Array.from({ length: shards }, (_, at) =>
        Math.ceil((at * layers.length) / shards),
      ),
    }),
    onProgress({ message }) {
      if (performance.now() - said < 10_000) return;
      said = performance.now();
      process.stderr.write(`  ${message}\n`);
    },
  });
  const { user, system } = process.cpuUsage();
  const ms = performance.now() - started;
  return { ms, cpuMs: (user + system) / 1000, peakBytes: peakBytes(), plan };
}

/** Sixteen rows and then one, from what the shard before left in `scratch`. */
async function runShard(planFolder: string, scratch: string, index: number): Promise<ShardReport> {
  const plan = JSON.parse(await readFile(join(planFolder, 'plan.json'), 'utf8')) as SplitPlan;
  const stage = plan.components[index]?.stage;
  if (!stage) throw new Error(`no shard ${index}`);
  const started = performance.now();
  const graph = join(planFolder, plan.shards[index]?.folder ?? '', stage.graph);
  const runner = await loadStage(await loadOnnxRuntime(), graph, stage, { threads: 1 });
  const loadMs = performance.now() - started;
  runner.open(0, { promptTokens, sampling });
  const step = async (name: string, ids: readonly number[], position: number) => {
    const input = stage.hasEmbedding
      ? Int32Array.from(ids).buffer
      : new Uint8Array(await readFile(join(scratch, `${index - 1}-${name}`))).buffer;
    const from = performance.now();
    const result = await runner.run({ slot: 0, position, rows: ids.length, input, sample: true });
    const ms = performance.now() - from;
    if (result.type === 'activations') {
      await writeFile(join(scratch, `${index}-${name}`), new Uint8Array(result.buffer, 512));
    }
    return { ms, ...(result.type === 'token' ? { token: result.token } : {}) };
  };
  const chunk = await step('chunk', promptTokens, 0);
  const one = await step('step', [7], promptTokens.length);
  const settledBytes = process.memoryUsage.rss();
  const { token } = one;
  return {
    ...{ loadMs, chunkMs: chunk.ms, stepMs: one.ms, peakBytes: peakBytes(), settledBytes },
    ...(token === undefined ? {} : { token }),
  };
}

async function main(): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'aios-split-7b-'));
  let modelFolder: string | undefined;
  try {
    console.log(`writing a random checkpoint of ${values.size} parameters, bfloat16`);
    const started = performance.now();
    modelFolder = await randomModel(values.size as RandomModelName, { dtype: 'BF16', files: 3 });
    console.log(`  ${seconds(performance.now() - started)} (nothing, where it was there)\n`);

    const planFolder = join(scratch, 'plan');
    console.log(`splitting to ${values.dtype} in ${shards} shards`);
    const report = await inProcess<SplitReport>('split', modelFolder, planFolder);
    const { plan } = report;
    const total = plan.shards.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
    console.log(
      `  ${seconds(report.ms)}, ${seconds(report.cpuMs)} of CPU; peak resident ${formatBytes(report.peakBytes)}; written ${formatBytes(total)}\n`,
    );
    console.log(
      'shard  layers      file  resident, planned   settled      peak      load  16 rows     1 row',
    );
    for (const [index, { firstLayer, lastLayer, ...planned }] of plan.shards.entries()) {
      const shard = await inProcess<ShardReport>('shard', planFolder, scratch, String(index));
      const cells = [
        `${firstLayer}–${lastLayer}`.padEnd(6),
        formatBytes(planned.fileBytes).padStart(9),
        formatBytes(planned.residentBytes).padStart(18),
        formatBytes(shard.settledBytes).padStart(9),
        formatBytes(shard.peakBytes).padStart(9),
        seconds(shard.loadMs).padStart(9),
        seconds(shard.chunkMs).padStart(8),
        seconds(shard.stepMs).padStart(9),
      ];
      const token = shard.token === undefined ? '' : `  token ${shard.token}`;
      console.log(`${String(index).padStart(5)}  ${cells.join(' ')}${token}`);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
    if (modelFolder && !values.keep) await rm(modelFolder, { recursive: true, force: true });
  }
}

const [part, first = '', second = '', index = ''] = positionals;
if (part === 'split') console.log(JSON.stringify(await split(first, second)));
else if (part === 'shard')
  console.log(JSON.stringify(await runShard(first, second, Number(index))));
else await main();
