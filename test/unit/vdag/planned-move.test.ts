import { expect, test } from 'vitest';
import type { RoutedInstance } from '../../../runtime/control-plane.ts';
import { createReplicaSpeeds } from '../../../runtime/vdag/replica-speeds.ts';
import { createReplicas } from '../../../runtime/vdag/replicas.ts';
import { openScope } from '../../../runtime/vdag/request-scope.ts';
import { createStallLimits } from '../../../runtime/vdag/stall-limits.ts';
import { createSurvivingSession } from '../../../runtime/vdag/surviving-session.ts';

/** Sessions over a block whose instance `old` is to end, beside one that has some places. */
function startMove(places: number) {
  const leaving = new AbortController();
  let free = places;
  const replicas = createReplicas(
    {
      free: () =>
        leaving.signal.aborted
          ? new Map([['new', free]])
          : new Map([
              ['old', 8],
              ['new', free],
            ]),
      report: () => {},
    },
    createReplicaSpeeds(),
  );
  const open = (id: string) => {
    const steps: string[] = [];
    const session = createSurvivingSession({
      ...{ scope: openScope(id, Date.now() + 30_000), promptTokens: [1], chunkTokens: 1 },
      limits: createStallLimits(),
      replicas: {
        claimStandIns: (shards) => replicas.claimStandIns('default', shards),
        stepped: () => {},
        stalled: () => undefined,
      },
      async open() {
        const instanceId = leaving.signal.aborted ? 'new' : 'old';
        if (instanceId === 'new') free -= 1;
        expect(free).toBeGreaterThanOrEqual(0);
        const shard = { instanceId, blockId: 'b' } as RoutedInstance;
        const shards = [instanceId === 'old' ? { ...shard, leaving: leaving.signal } : shard];
        return {
          shards,
          close: () => {},
          session: {
            prefill: async () => {},
            replay: async () => void steps.push(`${instanceId} again`),
            step: () => void steps.push(instanceId),
            next: async () => ({ token: 1, timings: [], cameAtMs: performance.now() }),
            close: () => {},
          },
        };
      },
    });
    return { session, steps };
  };
  return { open, leave: () => leaving.abort(), freed: () => (free += 1) };
}

test('sessions leave an instance that is to end as far as there is room elsewhere; the others stay until there is', async () => {
  const fleet = startMove(1);
  const both = [fleet.open('one'), fleet.open('two')];
  for (const { session } of both) await session.start();
  for (const { session } of both) await session.next();
  fleet.leave();
  // Both step before either has taken the place.
  for (const { session } of both) session.step(7);
  await Promise.all(both.map(({ session }) => session.next()));
  expect(both.map(({ steps }) => steps)).toEqual([
    ['old again', 'new again'],
    ['old again', 'old'],
  ]);

  fleet.freed();
  for (const { session } of both) session.step(8);
  await Promise.all(both.map(({ session }) => session.next()));
  expect(both.map(({ steps }) => steps.at(-1))).toEqual(['new', 'new again']);
  for (const { session } of both) session.close();
});
