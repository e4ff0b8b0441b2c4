/**
 * Single-stream decode, k shards as served over HTTP by processes against one unsplit session in this process: one thread
 * each, spinning off in all, in turns. Of each pair in time one ratio is made, and the median of these is what splitting and
 * serving leave of the unsplit speed. With several `--dtype`s, each is also held against the first. The column of processor
 * time says the same of all that was spent, control plane included: it holds on a busy machine, too, where times do not.
 */
import { System } from '../support/system.ts';
import { type Arrivals, ask, msPerToken, promptOf } from './parts/ask.ts';
import { cpuMs } from './parts/cpu.ts';
import { median, modelFolder, readOptions, row } from './parts/options.ts';
import { splitFlags } from './parts/split-options.ts';
import { loadUnsplit, type Unsplit } from './parts/unsplit.ts';

const promptTokens = promptOf(0, 16);
const contextTokens = 256;
const nodeMemoryBytes = 8 * 2 ** 30;

const { model, shards, dtypes, tokens, rounds } = readOptions({
  ...{ model: '0.5b', shards: [1, 2, 3], dtypes: ['fp32'], tokens: 24, rounds: 5 },
});

interface Pair {
  readonly unsplitMs: number;
  readonly servedMs: number;
  /** Processor time of each, together with the prompt's. */
  readonly unsplitCpuMs: number;
  readonly servedCpuMs: number;
}

async function timed(pids: readonly number[], answer: () => Promise<Pick<Arrivals, 'tokenMs'>>) {
  const before = cpuMs(pids);
  const ms = msPerToken(await answer());
  return { ms, cpuMs: cpuMs(pids) - before };
}

async function measure(folder: string, whole: ReadonlyMap<string, Unsplit>, k: number) {
  const system = await System.start();
  try {
    await system.cluster('bench', 4, nodeMemoryBytes, 4);
    const names = new Map<string, string>();
    for (const dtype of dtypes) {
      const flags = ['--max-sessions', '1', '--context', String(contextTokens)];
      names.set(dtype, await system.model(folder, k, ...flags, ...splitFlags(dtype)));
    }
    const pids = [system.pid, ...system.processes().map(({ pid }) => pid)];
    const pairs = new Map<string, Pair[]>(dtypes.map((dtype) => [dtype, []]));
    for (let round = 0; round <= rounds; round += 1) {
      for (const [dtype, unsplit] of whole) {
        const name = names.get(dtype) ?? '';
        const alone = await timed([process.pid], () => unsplit.answer(promptTokens, tokens));
        const served = await timed(pids, () => ask(system.url, name, promptTokens, tokens));
        if (round === 0) continue;
        pairs.get(dtype)?.push({
          ...{ unsplitMs: alone.ms, unsplitCpuMs: alone.cpuMs },
          ...{ servedMs: served.ms, servedCpuMs: served.cpuMs },
        });
      }
    }
    report(k, pairs);
  } finally {
    await system.stop();
  }
}

function report(k: number, pairs: ReadonlyMap<string, readonly Pair[]>): void {
  const first = pairs.get(dtypes[0] ?? '') ?? [];
  for (const [dtype, of] of pairs) {
    const ms = (pick: (pair: Pair) => number) => median(of.map(pick));
    const faster = (pick: (pair: Pair) => number) =>
      median(of.map((pair, at) => pick(first[at] ?? pair) / pick(pair))).toFixed(2);
    const [unsplit, served] = [ms((pair) => pair.unsplitMs), ms((pair) => pair.servedMs)];
    console.log(
      row(
        ...([
          [String(k), 8],
          [dtype, 7],
          [(1000 / unsplit).toFixed(2), 14],
          [(1000 / served).toFixed(2), 14],
          [ms((pair) => pair.unsplitMs / pair.servedMs).toFixed(3), 13],
          [ms((pair) => pair.servedMs - pair.unsplitMs).toFixed(2), 13],
          [ms((pair) => pair.unsplitCpuMs / pair.servedCpuMs).toFixed(3), 16],
        ] as const),
        ...(dtypes.length > 1
          ? ([
              [`${faster((pair) => pair.unsplitMs)}×`, 10],
              [`${faster((pair) => pair.servedMs)}×`, 9],
            ] as const)
          : []),
      ),
    );
  }
}

const folder = await modelFolder(model);
const whole = new Map<string, Unsplit>();
for (const dtype of dtypes) whole.set(dtype, await loadUnsplit(folder, dtype, contextTokens));
console.log(
  `model ${model}, ${tokens} tokens a run, ${rounds} rounds in turns, one thread a process`,
);
console.log(
  row(['shards', 8], ['dtype', 7], ['unsplit tok/s', 14], ['served tok/s', 14]) +
    row(['of unsplit', 13], ['ms lost/tok', 13], ['CPU of unsplit', 16]) +
    (dtypes.length > 1 ? `   against ${dtypes[0]}: unsplit, served` : ''),
);
for (const k of shards) await measure(folder, whole, k);
for (const unsplit of whole.values()) await unsplit.close();
