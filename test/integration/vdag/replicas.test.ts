import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createGenerationDriver, type GenerationDriver } from '../../../runtime/vdag/index.ts';
import type { StallOptions } from '../../../runtime/vdag/stall-limits.ts';
import { tinyAssistantFolder } from '../../support/tiny-assistant.ts';
import { type Fleet, type Replica, startFleet } from './replica-fleet.ts';
import { createStreams, type Streamed, tokensOf } from './streams.ts';

const sessions = 8;
const answerTokens = 60;
let fleet: Fleet;
let driver: GenerationDriver;
let log: string[];
let askAll: ReturnType<typeof createStreams>;
let alone: readonly (readonly number[])[];

beforeEach(() => begin());

async function begin(stall: StallOptions = { minMs: 60_000, unknownMs: 60_000 }) {
  await driver?.close();
  await fleet?.close();
  log = [];
  fleet = await startFleet(tinyAssistantFolder, { shards: 2, replicas: 2 });
  driver = createGenerationDriver({
    directory: fleet.directory,
    artifacts: fleet.artifacts,
    resolveVdag: async () => fleet.plan.vdag,
    stall,
    log: (line) => log.push(line),
  });
  askAll = createStreams(driver, sessions, answerTokens);
  alone = tokensOf(await askAll());
}
afterEach(async () => {
  await driver?.close();
  await fleet?.close();
});

const replica = (shard: number, copy: number) => fleet.replicas[shard]?.[copy] as Replica;
const causesOf = (answers: readonly Streamed[]) =>
  answers.flatMap(({ recoveries }) => recoveries.map(({ cause }) => cause));
const pickedOf = () => fleet.replicas.map((copies) => copies.map(({ picked }) => picked));

describe('two replicas of each shard', () => {
  test('share the sessions, each of which stays where it was opened', () => {
    for (const copies of fleet.replicas) {
      expect(copies.map(({ picked }) => picked)).toEqual([4, 4]);
      expect(copies.map(({ outstanding }) => outstanding)).toEqual([0, 0]);
    }
    expect(log).toEqual([]);
  });

  test.each([0, 1])(
    'go on without one of shard %i that is killed, though nobody starts another',
    async (shard) => {
      const victim = replica(shard, 0);
      const answers = await askAll([{ tokens: 150, run: () => fleet.kill(victim) }]);

      expect(tokensOf(answers)).toEqual(alone);
      const causes = causesOf(answers);
      expect(causes.length).toBeGreaterThan(0);
      expect(new Set(causes)).toEqual(new Set(['lost']));
      expect(fleet.directory.reported).toContain(victim.routed.instanceId);
      expect(log.filter((line) => line.includes('paused an answer'))).toHaveLength(causes.length);
    },
  );

  test('go on without one that is to end, whose sessions leave between two tokens', async () => {
    const old = replica(0, 1);
    const openWhenAllHadLeft: number[] = [];
    const drain = async () => {
      old.leaving.abort();
      while (old.outstanding > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      openWhenAllHadLeft.push(replica(0, 0).outstanding);
      await fleet.kill(old);
    };
    const answers = await askAll([{ tokens: 150, run: drain }]);

    expect(tokensOf(answers)).toEqual(alone);
    expect(openWhenAllHadLeft).toEqual([sessions]);
    expect(causesOf(answers)).toEqual(Array(4).fill('moved'));
    expect(answers.flatMap(({ recoveries }) => recoveries.map((one) => one.attempts))).toEqual(
      Array(4).fill(1),
    );
    expect(log.filter((line) => /paused an answer \d+ ms.*is to end/.test(line))).toHaveLength(4);
  });

  test.each([0, 1])('go on without one of shard %i that stands still', async (shard) => {
    await begin({ minMs: 500, unknownMs: 2000 });
    const frozen = replica(shard, 0);
    const answers = await askAll([
      { tokens: 150, run: () => frozen.shard.process.kill('SIGSTOP') },
    ]);

    expect(tokensOf(answers)).toEqual(alone);
    expect(causesOf(answers)).toContain('stalled');
    expect(fleet.directory.reported).toContain(frozen.routed.instanceId);
    const before = frozen.picked;
    expect(tokensOf(await askAll())).toEqual(alone);
    expect(frozen.picked).toBe(before);
  });

  test('send new sessions round one that is much slower than the other', async () => {
    const slow = replica(1, 1);
    slow.proxy.delayMs = 40;
    // They learn it, and say the same meanwhile.
    expect(tokensOf(await askAll())).toEqual(alone);
    const before = pickedOf();
    expect(tokensOf(await askAll())).toEqual(alone);

    const now = pickedOf();
    const more = now.map((copies, shard) => copies.map((n, i) => n - (before[shard]?.[i] ?? 0)));
    expect(more[1]).toEqual([sessions, 0]);
    expect(more[0]?.reduce((sum, n) => sum + n)).toBe(sessions);
  });
});
