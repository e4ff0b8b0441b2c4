/**
 * A split model under load, as served over HTTP by shard processes: many sessions at once against one, one thread a shard and
 * spinning off, on random weights of 100 million parameters. Then how long the first token of a long prompt takes, alone and
 * while others are answered, and how long these stand still for it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ShardCounters } from '../../sdk/client/api.ts';
import { writeTestModel } from '../support/checkpoint.ts';
import { eventually, System } from '../support/system.ts';

const shardCounts = [1, 2];
const concurrency = [1, 8, 16];
const answerTokens = 48;
const longPromptTokens = 512;
const sizes = {
  ...{ vocabularySize: 768, hiddenSize: 768, intermediateSize: 2048, layers: 16 },
  ...{ heads: 12, keyValueHeads: 4, contextTokens: 1024 },
};

interface Arrivals {
  readonly startedMs: number;
  /** When each token came. */
  readonly tokenMs: readonly number[];
}

const prompt = (session: number, length: number) =>
  Array.from({ length }, (_, at) => 5 + ((session * 31 + at * 7) % 700));

async function ask(
  url: string,
  model: string,
  promptTokens: readonly number[],
  tokens: number,
): Promise<Arrivals> {
  const startedMs = performance.now();
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      ...{ model, prompt: promptTokens, max_tokens: tokens, temperature: 0, stream: true },
      ...{ ignore_eos: true, return_token_ids: true },
    }),
  });
  if (!response.ok || !response.body) throw new Error(await response.text());
  const tokenMs: number[] = [];
  for await (const chunk of response.body) {
    const found = new TextDecoder().decode(chunk).split('"token_ids":[').length - 1;
    for (let at = 0; at < found; at += 1) tokenMs.push(performance.now());
  }
  return { startedMs, tokenMs };
}

/** Tokens a second of all, from when every session has its first to when the first of them ends. */
function rate(answers: readonly Arrivals[]): number {
  const fromMs = Math.max(...answers.map(({ tokenMs }) => tokenMs[0] ?? 0));
  const toMs = Math.min(...answers.map(({ tokenMs }) => tokenMs.at(-1) ?? 0));
  const inside = answers
    .flatMap(({ tokenMs }) => tokenMs)
    .filter((ms) => ms > fromMs && ms <= toMs);
  return (inside.length * 1000) / (toMs - fromMs);
}

/** What each shard counted, first shard first, once no session is open: reports come about once a second. */
async function counters(system: System, sessionsOpened: number): Promise<ShardCounters[]> {
  return eventually('every shard reports that its sessions ended', async () => {
    const instances = (await system.instances()).sort((a, b) => (a.blockId < b.blockId ? -1 : 1));
    const shards = instances.map((instance) => instance.counters);
    const settled = shards.every(
      (shard) => shard?.openSessions === 0 && shard.sessionsOpened === sessionsOpened,
    );
    return settled ? (shards as ShardCounters[]) : undefined;
  });
}

const total = (shards: readonly ShardCounters[], name: keyof ShardCounters) =>
  shards.reduce((sum, shard) => sum + shard[name], 0);

async function measure(modelFolder: string, shards: number): Promise<void> {
  const system = await System.start();
  try {
    await system.cluster('bench', 8, 4 * 2 ** 30, 4);
    const most = String(Math.max(...concurrency));
    const model = await system.model(modelFolder, shards, '--max-sessions', most);
    await ask(system.url, model, prompt(0, 16), 8);
    let opened = 1;
    let before = await counters(system, opened);
    let alone = Number.NaN;
    console.log(`\n${shards} shard${shards === 1 ? '' : 's'}`);
    console.log('  sessions   tokens/s   of one   mean batch   largest   wire bytes/token');
    for (const count of concurrency) {
      const answers = await Promise.all(
        Array.from({ length: count }, (_, session) =>
          ask(system.url, model, prompt(session, 16), answerTokens),
        ),
      );
      opened += count;
      const after = await counters(system, opened);
      const earlier = before;
      const grown = (name: keyof ShardCounters) => total(after, name) - total(earlier, name);
      before = after;
      const now = rate(answers);
      if (count === 1) alone = now;
      const figures = [
        [String(count), 10],
        [now.toFixed(1), 11],
        [`${(now / alone).toFixed(2)}×`, 9],
        [(grown('decodeSteps') / grown('decodeBatches')).toFixed(2), 13],
        [String(Math.max(...after.map(({ maxBatchSteps }) => maxBatchSteps))), 10],
        // What a shard sends, and what comes to the first.
        [
          (
            (grown('bytesOut') + (after[0]?.bytesIn ?? 0) - (earlier[0]?.bytesIn ?? 0)) /
            (count * answerTokens)
          ).toFixed(0),
          19,
        ],
      ] as const;
      console.log(figures.map(([text, width]) => text.padStart(width)).join(''));
    }
    await measureLongPrompt(system.url, model);
  } finally {
    await system.stop();
  }
}

async function measureLongPrompt(url: string, model: string): Promise<void> {
  const long = async (session: number) => {
    const { startedMs, tokenMs } = await ask(url, model, prompt(session, longPromptTokens), 2);
    return { startedMs, endedMs: tokenMs[0] ?? Number.NaN };
  };
  const quiet = await long(98);
  const again = await long(98);
  const others = Array.from({ length: 7 }, (_, session) =>
    ask(url, model, prompt(session, 16), 2 * answerTokens),
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

const folder = await mkdtemp(join(tmpdir(), 'aios-bench-model-'));
try {
  await writeTestModel(folder, { ...sizes, tied: true, dtype: 'F32' });
  for (const shards of shardCounts) await measure(folder, shards);
} finally {
  await rm(folder, { recursive: true, force: true });
}
