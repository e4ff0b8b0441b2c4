import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRandom } from '../../../runtime/policy/random.ts';
import { createGenerationDriver, type GenerationDriver } from '../../../runtime/vdag/index.ts';
import { golden } from '../../support/golden.ts';
import { tinyAssistantFolder } from '../../support/tiny-assistant.ts';
import { type ShardProcesses, startShards } from './shard-processes.ts';

const count = 3;
const sessions = 8;
const answerTokens = 200;
/** `npm run chaos` runs many more, and prints how long each answer stood still. */
const runs = Number(process.env.AIOS_CHAOS_RUNS ?? 2);
const seed = Number(process.env.AIOS_CHAOS_SEED ?? 20_261_121);

let shards: ShardProcesses;
let driver: GenerationDriver;
const log: string[] = [];

beforeAll(async () => {
  shards = await startShards(tinyAssistantFolder, count);
  const { directory, artifacts } = shards;
  driver = createGenerationDriver({
    ...{ directory, artifacts },
    resolveVdag: async () => shards.plan.vdag,
    log: (line) => log.push(line),
  });
});
afterAll(async () => {
  await driver?.close();
  await shards?.close();
});

/** Greedy and at temperature 1, each of its own prompt and seed. */
async function ask(index: number, onToken: () => void = () => {}) {
  const row = golden.rows[index % golden.rows.length];
  const sampling = { topK: 0, topP: 1, repetitionPenalty: 1, seed: 1000 + index };
  const events = driver.generate({
    tenant: 'default',
    vdagUri: 'tiny-assistant',
    prompt: { type: 'messages', messages: row?.messages ?? [] },
    sampling: { ...sampling, temperature: index % 2 },
    maxTokens: answerTokens,
    stop: [],
    ignoreEndToken: true,
    deadlineMs: Date.now() + 120_000,
    signal: new AbortController().signal,
  });
  const tokens: number[] = [];
  let pausedMs = 0;
  for await (const event of events) {
    if (event.type === 'token') {
      tokens.push(event.token);
      onToken();
    }
    if (event.type === 'end') for (const one of event.recoveries) pausedMs += one.pausedMs;
  }
  return { tokens, pausedMs };
}

const askAll = (onToken?: () => void) =>
  Promise.all(Array.from({ length: sessions }, (_, index) => ask(index, onToken)));

describe('a shard process that is killed in the middle of eight answers', () => {
  const random = createRandom(seed);
  const plans = Array.from({ length: runs }, (_, run) => ({
    run,
    victim: Math.floor(random() * count),
    afterTokens: 1 + Math.floor(random() * sessions * (answerTokens - 10)),
  }));
  let alone: readonly (readonly number[])[];

  beforeAll(async () => {
    alone = (await askAll()).map(({ tokens }) => tokens);
  }, 120_000);

  test.each(plans)(
    'run $run: shard $victim after $afterTokens tokens, and every answer is what it would have been',
    async ({ victim, afterTokens, run }) => {
      let seen = 0;
      let replaced: Promise<void> | undefined;
      const replace = async () => {
        await shards.kill(victim);
        await shards.restart(victim);
      };
      const answers = await askAll(() => {
        seen += 1;
        if (seen === afterTokens) replaced = replace();
      });
      await replaced;

      expect(answers.map(({ tokens }) => tokens)).toEqual(alone);
      if (runs > 2) {
        const pauses = answers.map(({ pausedMs }) => Math.round(pausedMs));
        process.stdout.write(
          `run ${run}: shard ${victim} killed after ${afterTokens} tokens; paused ${pauses.join(', ')} ms\n`,
        );
      }
    },
    120_000,
  );

  test('is told in the log, with how long each answer stood still', () => {
    expect(log.filter((line) => /paused an answer \d+ ms after \d+ tokens/.test(line))).not.toEqual(
      [],
    );
  });
});
