/**
 * Memory of shard processes (Linux): what each holds above an empty instance once every slot of its KV cache was used,
 * against its resident weights and KV cache as the plan says them; and its peak while it loaded, against the same. The table
 * of embeddings is left out: it is looked up in its file, and the rows that were read are memory that can be taken back.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { outlineModel, planFileName, splitters } from '../../runtime/model/index.ts';
import type { InstanceStatus } from '../../sdk/client/api.ts';
import { splitPlan } from '../../sdk/spec/plan.ts';
import { System } from '../support/system.ts';
import { ask, promptOf } from './parts/ask.ts';
import { modelFolder, readOptions, row } from './parts/options.ts';
import { splitFlags, splitOptions } from './parts/split-options.ts';

const settledAim = 0.15;
const peakAim = 1.3;
const contextTokens = 256;
const maxSessions = 2;
const nodeMemoryBytes = 8 * 2 ** 30;

const { model, shards, dtypes, tokens, rounds } = readOptions({
  ...{ model: '0.5b', shards: [1, 3], dtypes: ['fp32', 'int4'], tokens: 8, rounds: 2 },
});

/** A line of `/proc/PID/status`, in bytes. */
function bytesOf({ pid = 0 }: InstanceStatus, name: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
}

/** @returns the plan's shards, and its model's name once it serves */
async function create(system: System, folder: string, dtype: string, k: number) {
  const out = await mkdtemp(join(tmpdir(), 'aios-bench-'));
  const sizes = ['--max-sessions', String(maxSessions), '--context', String(contextTokens)];
  try {
    const plan = join(out, 'plan');
    const flags = [...sizes, ...splitFlags(dtype)];
    await system.json('split', folder, '--shards', String(k), '--out', plan, ...flags);
    const { model: name } = await system.json<{ model: string }>('create-plan', plan, '--wait');
    const text = await readFile(join(plan, planFileName), 'utf8');
    return { name, plan: splitPlan.parse(JSON.parse(text)) };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

async function measure(folder: string, dtype: string, k: number): Promise<void> {
  const options = { modelFolder: folder, splitters, contextTokens, maxSessions };
  const { embeddingBytes } = await outlineModel({ ...options, ...splitOptions(dtype) });
  const system = await System.start();
  try {
    await system.cluster('bench', 4, nodeMemoryBytes, 4);
    const { name, plan } = await create(system, folder, dtype, k);
    const instances = (await system.instances()).sort((a, b) => (a.blockId < b.blockId ? -1 : 1));
    const peaks = instances.map((instance) => bytesOf(instance, 'VmHWM'));
    const prompt = (session: number) => promptOf(session, contextTokens - tokens);
    for (let round = 0; round < rounds; round += 1) {
      const sessions = Array.from({ length: maxSessions }, (_, at) => round * maxSessions + at);
      await Promise.all(sessions.map((session) => ask(system.url, name, prompt(session), tokens)));
    }
    for (const [index, instance] of instances.entries()) {
      const shard = plan.shards[index];
      if (!shard) throw new Error(`the plan has no shard ${index}`);
      const { emptyResidentBytes: emptyBytes = Number.NaN } = instance;
      const lookedUpBytes = shard.hasEmbedding ? embeddingBytes : 0;
      report(dtype, `${index + 1}/${k}`, {
        emptyBytes,
        dueBytes: shard.residentBytes + shard.kvBytes - lookedUpBytes,
        settledBytes: bytesOf(instance, 'VmRSS') - emptyBytes,
        peakBytes: (peaks[index] ?? Number.NaN) - emptyBytes,
      });
    }
  } finally {
    await system.stop();
  }
}

interface Amounts {
  readonly emptyBytes: number;
  readonly dueBytes: number;
  readonly settledBytes: number;
  readonly peakBytes: number;
}

function report(dtype: string, shard: string, amounts: Amounts): void {
  const { emptyBytes, dueBytes, settledBytes, peakBytes } = amounts;
  const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  const [settled, peak] = [settledBytes / dueBytes, peakBytes / dueBytes];
  const missed = Math.abs(settled - 1) > settledAim || peak > peakAim ? '  missed' : '';
  const line = row(
    ...([
      [dtype, 7],
      [shard, 8],
      [mebibytes(emptyBytes), 10],
      [mebibytes(dueBytes), 14],
      [mebibytes(settledBytes), 14],
      [`${settled.toFixed(2)}×`, 8],
      [mebibytes(peakBytes), 14],
      [`${peak.toFixed(2)}×`, 8],
    ] as const),
  );
  console.log(line + missed);
}

const folder = await modelFolder(model);
console.log(`model ${model}, ${maxSessions} sessions of ${contextTokens} tokens, in MiB;`);
console.log(`aims: settled within ${settledAim * 100} %, peak at most ${peakAim} times\n`);
console.log('  dtype   shard     empty  weights + KV  settled above         peak, loading');
for (const dtype of dtypes) for (const k of shards) await measure(folder, dtype, k);
