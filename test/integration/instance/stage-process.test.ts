import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { processStartTime } from '../../../runtime/instance/index.ts';
import type { ShardCounters } from '../../../sdk/client/api.ts';
import { type TestStages, writeTestStages } from '../../support/stages.ts';
import { readGolden, tinyAssistantFolder } from '../../support/tiny-assistant.ts';
import { createDriver, eventually, generate } from './driver.ts';
import { bootOf, type RunningInstance, startInstance } from './instance-process.ts';

const golden = readGolden();

async function startShards(
  stages: TestStages,
): Promise<AsyncDisposable & { all: RunningInstance[] }> {
  const all = await Promise.all(
    stages.stages.map(({ stage, graphPath }, index) =>
      startInstance(bootOf(`shard-${index}`, { type: 'stage', stage }), dirname(graphPath)),
    ),
  );
  await Promise.all(all.map((one) => one.ready()));
  return {
    all,
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map((one) => one[Symbol.asyncDispose]()));
    },
  };
}

const countersOf = (instance: RunningInstance): ShardCounters => instance.status()!.counters!;

describe('shards in processes of their own', () => {
  it.each([[[0]], [[0, 2]], [[0, 1, 3]]])(
    'cut before layers %j give the golden tokens',
    async (cuts) => {
      await using stages = await writeTestStages(tinyAssistantFolder, cuts, 8);
      await using shards = await startShards(stages);
      const driver = await createDriver(shards.all.map(({ hop }) => hop));

      for (const [index, row] of golden.rows.slice(0, 4).entries()) {
        const expected = row.tokens.slice(0, Math.min(row.exact, 24));
        const tokens = await generate(driver, `row-${index}`, row.promptTokens, {
          maxTokens: expected.length,
        });
        expect(tokens).toEqual(expected);
      }
      driver.close();
    },
  );

  it('answer eight sessions at once as they answer one', async () => {
    await using stages = await writeTestStages(tinyAssistantFolder, [0, 2], 8);
    await using shards = await startShards(stages);
    const driver = await createDriver(shards.all.map(({ hop }) => hop));
    const rows = Array.from({ length: 8 }, (_, index) => golden.rows[index % golden.rows.length]!);
    const wanted = rows.map(({ tokens, exact }) => tokens.slice(0, Math.min(exact, 16)));

    const answers = await Promise.all(
      rows.map(({ promptTokens }, index) =>
        generate(driver, `chat-${index}`, promptTokens, { maxTokens: wanted[index]!.length }),
      ),
    );

    expect(answers).toEqual(wanted);
    for (const shard of shards.all) {
      await eventually(() => countersOf(shard).sessionsClosed === 8);
      expect(countersOf(shard)).toMatchObject({
        maxOpenSessions: 8,
        openSessions: 0,
        payloadCopies: 0,
      });
      expect(countersOf(shard).sessionSwitches).toBeGreaterThan(8);
    }
    driver.close();
  });

  it('report log-probabilities with the token when they were asked for', async () => {
    await using stages = await writeTestStages(tinyAssistantFolder, [0, 2], 2);
    await using shards = await startShards(stages);
    const driver = await createDriver(shards.all.map(({ hop }) => hop));
    const row = golden.rows[0]!;
    const session = driver.session('s');

    session.open({ promptTokens: row.promptTokens, logprobs: 5 });
    await session.next();
    session.step(row.promptTokens);
    const { token, payload } = await session.next();

    const choice = JSON.parse(Buffer.from(payload).toString());
    expect(choice.top).toHaveLength(5);
    expect(choice.top[0][0]).toBe(token);
    expect(choice.logprob).toBe(choice.top[0][1]);
    driver.close();
  });

  it('free their slots when one of them is killed, and the driver hears of it', async () => {
    await using stages = await writeTestStages(tinyAssistantFolder, [0, 1, 3], 4);
    await using shards = await startShards(stages);
    const driver = await createDriver(shards.all.map(({ hop }) => hop));
    const sessions = ['a', 'b'].map((id) => driver.session(id));
    for (const session of sessions) {
      session.open({ promptTokens: [1, 2, 3] });
      await session.next();
      session.step([1, 2, 3]);
      await session.next();
    }

    shards.all[1]!.child.kill('SIGKILL');

    for (const session of sessions) {
      await expect(session.next()).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    }
    for (const index of [0, 2]) {
      await eventually(() => countersOf(shards.all[index]!).openSessions === 0);
    }
    driver.close();
  });

  it('end on SIGTERM, in the middle of an answer too, with exit code 0', async () => {
    await using stages = await writeTestStages(tinyAssistantFolder, [0, 2], 4);
    await using shards = await startShards(stages);
    const driver = await createDriver(shards.all.map(({ hop }) => hop));
    const answering = generate(driver, 's', golden.rows[0]!.promptTokens, { maxTokens: 2000 });
    const refused = answering.catch((error: unknown) => error);
    await eventually(() => countersOf(shards.all[1]!).openSessions === 1);

    for (const shard of shards.all) shard.child.kill('SIGTERM');

    expect(await Promise.all(shards.all.map(({ exited }) => exited))).toEqual([
      { code: 0, signal: null },
      { code: 0, signal: null },
    ]);
    expect(await refused).toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    driver.close();
  });

  it('tell who they are, and how much memory they take', async () => {
    await using stages = await writeTestStages(tinyAssistantFolder, [0], 1);
    await using shards = await startShards(stages);
    const [shard] = shards.all;

    expect(shard!.process).toMatchObject({ instanceId: 'shard-0', pid: shard!.child.pid });
    expect(shard!.process.startTime).toBe(await processStartTime(shard!.child.pid!));
    const { emptyResidentBytes, residentBytes } = shard!.status()!;
    expect(emptyResidentBytes).toBeGreaterThan(2 ** 20);
    expect(residentBytes).toBeGreaterThan(emptyResidentBytes);
  });

  it('say why they cannot load, and end', async () => {
    await using stages = await writeTestStages(tinyAssistantFolder, [0], 1);
    const { stage, graphPath } = stages.stages[0]!;
    const boot = bootOf('shard-0', { type: 'stage', stage: { ...stage, graph: 'missing.onnx' } });
    await using shard = await startInstance(boot, dirname(graphPath));

    expect(await shard.exited).toEqual({ code: 70, signal: null });
    expect(shard.status()).toMatchObject({ state: 'failed', error: { code: 'MODEL_LOAD_FAILED' } });
    expect(shard.output()).toContain('MODEL_LOAD_FAILED');
  });
});
