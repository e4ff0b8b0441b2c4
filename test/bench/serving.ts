/**
 * A split model under load, as served over HTTP by shard processes: many sessions at once against one, one thread a shard and
 * spinning off, in turns. Then how long the first token of a long prompt takes, alone and while others are answered, and how
 * long these stand still for it.
 */
import type { ShardCounters } from '../../sdk/client/api.ts';
import { System } from '../support/system.ts';
import { type Arrivals, ask, promptOf } from './parts/ask.ts';
import { type Count, shardCounters, total, wireBytes } from './parts/counters.ts';
import { median, modelFolder, readOptions, row } from './parts/options.ts';
import { splitFlags } from './parts/split-options.ts';

const concurrency = [1, 8, 16];
const longPromptTokens = 512;
const contextTokens = 1024;
const nodeMemoryBytes = 8 * 2 ** 30;

const { model, shards, dtypes, tokens, rounds } = readOptions({
  ...{ model: '103m', shards: [1, 2], dtypes: ['fp32'], tokens: 48, rounds: 3 },
});

/** Tokens a second of all, from when every session has its first to when the first of them ends. */
function rate(answers: readonly Arrivals[]): number {
  const fromMs = Math.max(...answers.map(({ tokenMs }) => tokenMs[0] ?? 0));
  const toMs = Math.min(...answers.map(({ tokenMs }) => tokenMs.at(-1) ?? 0));
  const inside = answers
    .flatMap(({ tokenMs }) => tokenMs)
    .filter((ms) => ms > fromMs && ms <= toMs);
  return (inside.length * 1000) / (toMs - fromMs);
}

interface Round {
  readonly tokensPerSecond: number;
  readonly before: readonly ShardCounters[];
  readonly after: readonly ShardCounters[];
}

async function measure(folder: string, dtype: string, k: number): Promise<void> {
  const system = await System.start();
  try {
    await system.cluster('bench', 4, nodeMemoryBytes, 4);
    const most = String(Math.max(...concurrency));
    const flags = ['--max-sessions', most, '--context', String(contextTokens)];
    const name = await system.model(folder, k, ...flags, ...splitFlags(dtype));
    await ask(system.url, name, promptOf(0, 16), 8);
    let opened = 1;
    let before = await shardCounters(system, opened);
    const all = new Map<number, Round[]>(concurrency.map((count) => [count, []]));
    for (let round = 0; round < rounds; round += 1) {
      for (const count of concurrency) {
        const answers = await Promise.all(
          Array.from({ length: count }, (_, session) =>
            ask(system.url, name, promptOf(session, 16), tokens),
          ),
        );
        opened += count;
        const after = await shardCounters(system, opened);
        all.get(count)?.push({ tokensPerSecond: rate(answers), before, after });
        before = after;
      }
    }
    console.log(`\n${k} shard${k === 1 ? '' : 's'}, ${dtype}`);
    console.log('  sessions   tokens/s   of one   mean batch   largest   wire bytes/token');
    for (const [count, of] of all) report(count, of, all.get(1) ?? []);
    await measureLongPrompt(system.url, name);
  } finally {
    await system.stop();
  }
}

function report(count: number, all: readonly Round[], alone: readonly Round[]): void {
  const grown = (name: Count) =>
    all.reduce((sum, { before, after }) => sum + total(after, name) - total(before, name), 0);
  const wire = all.reduce((sum, one) => sum + wireBytes(one.after) - wireBytes(one.before), 0);
  const largest = all.flatMap(({ after }) => after.map(({ maxBatchSteps }) => maxBatchSteps));
  const ratios = all.map((one, at) => one.tokensPerSecond / (alone[at] ?? one).tokensPerSecond);
  console.log(
    row(
      ...([
        [String(count), 10],
        [median(all.map(({ tokensPerSecond }) => tokensPerSecond)).toFixed(1), 11],
        [`${median(ratios).toFixed(2)}×`, 9],
        [(grown('decodeSteps') / grown('decodeBatches')).toFixed(2), 13],
        [String(Math.max(...largest)), 10],
        [(wire / (all.length * count * tokens)).toFixed(0), 19],
      ] as const),
    ),
  );
}

async function measureLongPrompt(url: string, name: string): Promise<void> {
  const long = async (session: number) => {
    const { startedMs, tokenMs } = await ask(url, name, promptOf(session, longPromptTokens), 2);
    return { startedMs, endedMs: tokenMs[0] ?? Number.NaN };
  };
  const quiet = await long(98);
  const again = await long(98);
  const others = Array.from({ length: 7 }, (_, session) =>
    ask(url, name, promptOf(session, 16), 2 * tokens),
  );
  await new Promise((resolve) => setTimeout(resolve, 700));
  const busy = await long(99);
  const gaps = (await Promise.all(others)).map(({ tokenMs }) =>
    Math.max(
      ...tokenMs
        .slice(1)
        .flatMap((ms, at) =>
          ms > busy.startedMs && ms < busy.endedMs ? [ms - (tokenMs[at] ?? ms)] : [],
        ),
    ),
  );
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  console.log(
    `  first token of a ${longPromptTokens}-token prompt: ${ms(quiet.endedMs - quiet.startedMs)} alone, ` +
      `${ms(again.endedMs - again.startedMs)} asked again, ` +
      `${ms(busy.endedMs - busy.startedMs)} while 7 others are answered; ` +
      `the longest pause of one of these: ${ms(Math.max(...gaps))}`,
  );
}

const folder = await modelFolder(model);
console.log(`model ${model}, ${tokens} tokens an answer, medians of ${rounds} rounds in turns`);
for (const dtype of dtypes) for (const k of shards) await measure(folder, dtype, k);
