import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRandom } from '../../../runtime/policy/random.ts';
import { createGenerationDriver, type GenerationDriver } from '../../../runtime/vdag/index.ts';
import { tinyAssistantFolder } from '../../support/tiny-assistant.ts';
import { type Fleet, startFleet } from './replica-fleet.ts';
import { type ShardProcesses, startShards } from './shard-processes.ts';
import { createStreams, type Streamed, tokensOf } from './streams.ts';

const count = 3;
const sessions = 8;
const answerTokens = 200;
/** `npm run chaos` runs many more of one mode, and prints how long each answer stood still. */
const mode = process.env.AIOS_CHAOS_MODE ?? 'all';
const asked = process.env.AIOS_CHAOS_RUNS;
const runsOf = (name: string, usual: number) =>
  mode !== 'all' && mode !== name ? 0 : Number(asked ?? usual);
const random = createRandom(Number(process.env.AIOS_CHAOS_SEED ?? 20_261_121));
const below = (limit: number) => Math.floor(random() * limit);
const someToken = () => 1 + below(sessions * (answerTokens - 10));

/** Tells of a run, where somebody asked for it. */
const gaps: number[] = [];
function tell(run: number, what: string, answers: readonly Streamed[]): void {
  if (asked === undefined) return;
  const paused = answers.map(({ recoveries, longestGapMs }) => {
    const ms = recoveries.reduce((sum, { pausedMs }) => sum + pausedMs, 0);
    return Math.round(recoveries.length > 0 ? ms : longestGapMs);
  });
  gaps.push(...paused);
  process.stdout.write(`run ${run}: ${what}; longest pauses ${paused.join(', ')} ms\n`);
}
afterAll(() => {
  if (gaps.length === 0) return;
  const sorted = gaps.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor((sorted.length - 1) * part)];
  process.stdout.write(
    `${gaps.length} answers; paused ${at(0.5)} ms (median), ${at(0.95)} ms (95 %), ${at(1)} ms (longest)\n`,
  );
});

const driverOf = ({ directory, artifacts, plan }: ShardProcesses | Fleet, log: string[]) =>
  createGenerationDriver({
    ...{ directory, artifacts },
    resolveVdag: async () => plan.vdag,
    log: (line) => log.push(line),
  });

describe.runIf(runsOf('kill', 2) > 0)(
  'a shard process that is killed in the middle of eight answers',
  () => {
    let shards: ShardProcesses;
    let driver: GenerationDriver;
    let askAll: ReturnType<typeof createStreams>;
    let alone: readonly (readonly number[])[];
    const log: string[] = [];

    beforeAll(async () => {
      shards = await startShards(tinyAssistantFolder, count);
      driver = driverOf(shards, log);
      askAll = createStreams(driver, sessions, answerTokens);
      alone = tokensOf(await askAll());
    }, 120_000);
    afterAll(async () => {
      await driver?.close();
      await shards?.close();
    });

    const plans = Array.from({ length: runsOf('kill', 2) }, (_, run) => ({
      ...{ run, victim: below(count), afterTokens: someToken() },
    }));
    test.each(plans)(
      'run $run: shard $victim after $afterTokens tokens, and every answer is what it would have been',
      async ({ victim, afterTokens, run }) => {
        const replace = async () => {
          await shards.kill(victim);
          await shards.restart(victim);
        };
        const answers = await askAll([{ tokens: afterTokens, run: replace }]);

        expect(tokensOf(answers)).toEqual(alone);
        // It died while it was needed.
        expect(answers.flatMap(({ recoveries }) => recoveries)).not.toEqual([]);
        tell(run, `shard ${victim} killed after ${afterTokens} tokens`, answers);
      },
      120_000,
    );

    test('is told in the log, with how long each answer stood still', () => {
      expect(
        log.filter((line) => /paused an answer \d+ ms after \d+ tokens/.test(line)),
      ).not.toEqual([]);
    });
  },
);

describe.runIf(runsOf('cut', 1) + runsOf('delay', 1) > 0)('ways between shards', () => {
  let fleet: Fleet;
  let driver: GenerationDriver;
  let askAll: ReturnType<typeof createStreams>;
  let alone: readonly (readonly number[])[];
  const log: string[] = [];

  beforeAll(async () => {
    fleet = await startFleet(tinyAssistantFolder, { shards: count, replicas: 1 });
    driver = driverOf(fleet, log);
    askAll = createStreams(driver, sessions, answerTokens);
    alone = tokensOf(await askAll());
  }, 120_000);
  afterAll(async () => {
    await driver?.close();
    await fleet?.close();
  });
  const proxyOf = (shard: number) => {
    const proxy = fleet.replicas[shard]?.[0]?.proxy;
    if (!proxy) throw new Error(`there is no shard ${shard}`);
    return proxy;
  };
  /** Connections that were cut. */
  let severed = 0;
  /** Cuts every connection to the shard; for a while nobody gets through. */
  const cut = async (shard: number, closedMs: number) => {
    const proxy = proxyOf(shard);
    proxy.closed = closedMs > 0;
    severed += proxy.cut();
    await new Promise((resolve) => setTimeout(resolve, closedMs));
    proxy.closed = false;
  };

  const cuts = Array.from({ length: runsOf('cut', 1) }, (_, run) => ({
    run,
    cuts: Array.from({ length: 3 }, () => ({
      ...{ shard: below(count), afterTokens: someToken(), closedMs: below(2) * below(500) },
    })),
  }));
  test.each(cuts)(
    'run $run: connections cut three times, and every answer goes on where it was',
    async ({ run, cuts: planned }) => {
      log.length = 0;
      severed = 0;
      const answers = await askAll(
        planned.map(({ shard, afterTokens, closedMs }) => ({
          tokens: afterTokens,
          run: () => cut(shard, closedMs),
        })),
      );

      expect(tokensOf(answers)).toEqual(alone);
      expect(severed).toBeGreaterThan(0);
      // The driver's own links are those to the first shard and the last.
      if (planned.some(({ shard }) => shard !== 1)) {
        expect(log.filter((line) => /was cut for \d+ ms and goes on/.test(line))).not.toEqual([]);
      }
      // Nothing was computed anew: each link went on by number.
      expect(answers.flatMap(({ recoveries }) => recoveries)).toEqual([]);
      const what = planned.map((one) => `shard ${one.shard} after ${one.afterTokens} tokens`);
      tell(run, `cut off: ${what.join(', ')}`, answers);
    },
    120_000,
  );

  test.runIf(cuts.length > 0)(
    'that stay cut for longer than links are held, are a loss, and the texts are the same',
    async () => {
      const answers = await askAll([{ tokens: someToken(), run: () => cut(1, 6000) }]);

      expect(tokensOf(answers)).toEqual(alone);
      const causes = answers.flatMap(({ recoveries }) => recoveries.map(({ cause }) => cause));
      expect(new Set(causes)).toEqual(new Set(['lost']));
      expect(log.some((line) => /paused an answer \d+ ms after \d+ tokens/.test(line))).toBe(true);
    },
    120_000,
  );

  const delays = Array.from({ length: runsOf('delay', 1) }, (_, run) => run);
  test.each(delays)(
    'run %i: every piece that is passed on waits, some of them long, and the texts are the same',
    async (run) => {
      const slow = below(count);
      for (let shard = 0; shard < count; shard += 1) {
        const most = shard === slow ? 12 : 3;
        proxyOf(shard).delayMs = () => (random() < 0.01 ? 200 : random() * most);
      }
      const answers = await askAll();
      for (let shard = 0; shard < count; shard += 1) proxyOf(shard).delayMs = 0;

      expect(tokensOf(answers)).toEqual(alone);
      tell(run, `frames delayed, most those of shard ${slow}`, answers);
    },
    120_000,
  );
});
