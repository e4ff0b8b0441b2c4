import { expect, onTestFinished, test } from 'vitest';
import type { RoutedInstance } from '../../../runtime/control-plane.ts';
import { connectInstance } from '../../../runtime/dataplane/index.ts';
import { createInstancePool } from '../../../runtime/vdag/instance-pool.ts';
import { openScope } from '../../../runtime/vdag/request-scope.ts';
import { openShardSession } from '../../../runtime/vdag/shard-session.ts';
import { type Chain, serveChain } from '../instance/chain.ts';
import { createFakeExecutor, fakeStage } from '../instance/fake-executor.ts';

const sampling = { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1, seed: 1 };

async function chainOf(shards: number, maxSessions = 8): Promise<Chain> {
  const stages = Array.from({ length: shards }, (_, index) => ({
    ...fakeStage(index, shards, maxSessions),
    contextTokens: 4096,
  }));
  const chain = await serveChain(stages, stages.map(createFakeExecutor));
  onTestFinished(() => chain[Symbol.asyncDispose]());
  return chain;
}

/** A driver's side of a chain: sessions of their own, over links that all share. */
function sessionsOf(chain: Chain, promptTokens: readonly number[]) {
  const driverId = 'driver-pressure';
  const pool = createInstancePool(driverId, (to) => connectInstance({ ...to, resumeMs: 300 }));
  onTestFinished(() => pool.close());
  const deadlineMs = Date.now() + 45_000;
  const shards = chain.hops.map(
    (hop, index): RoutedInstance => ({
      ...hop,
      ...{ blockId: `b${index}`, clusterId: 'c', nodeId: 'n', release: () => {} },
    }),
  );
  const directory = {
    pick: () => Promise.reject(new Error('nobody is picked here')),
    report: () => {},
  };
  return (sessionId: string) =>
    openShardSession({
      ...{ sessionId, driverId, shards, pool, directory, deadlineMs, sampling },
      ...{ tenant: 'default', scope: openScope(sessionId, deadlineMs) },
      ...{ knownTokens: promptTokens, promptCount: promptTokens.length },
    });
}

const prompt = Array.from({ length: 160 }, (_, at) => at % 90);

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('a long prompt whose second shard falls behind goes on when that has caught up', async () => {
  const chain = await chainOf(2);
  const session = await sessionsOf(chain, prompt)('long');
  const [first, second] = chain.executors;
  const go = second?.hold();
  const sent = session.prefill(prompt, 2, true);
  // As far ahead as it may get, and the driver as far ahead of it: parts of both links stay free for single steps.
  await until(() => first?.order.length === 32 && chain.counters(0).queuedSteps >= 32);
  go?.();
  await sent;
  await session.next();
  expect(second?.order).toHaveLength(prompt.length / 2);
});

test('a first shard that dies while a prompt is sent is noticed, though its link has no room', async () => {
  const chain = await chainOf(2);
  const session = await sessionsOf(chain, prompt)('dies');
  const go = chain.executors[0]?.hold();
  const sent = session.prefill(prompt, 1, true);
  const ended = expect(sent).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
  await until(() => chain.counters(0).queuedSteps > 16);
  await chain.cut(0);
  await ended;
  go?.();
});

test('as many answers as an instance holds may step at once', async () => {
  const count = 400;
  const chain = await chainOf(1, count);
  const open = sessionsOf(chain, [1, 2]);
  const sessions = await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const session = await open(`s${at}`);
      await session.prefill([1, 2], 2, true);
      await session.next();
      return session;
    }),
  );
  const go = chain.executors[0]?.hold();
  for (const session of sessions) session.step(3, 2);
  go?.();
  const answers = await Promise.all(sessions.map((session) => session.next()));
  expect(answers).toHaveLength(count);
});
