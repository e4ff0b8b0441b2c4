import { expect, test } from 'vitest';
import type { RoutedInstance } from '../../../runtime/control-plane.ts';
import { createReplicaSpeeds } from '../../../runtime/vdag/replica-speeds.ts';
import { createReplicas } from '../../../runtime/vdag/replicas.ts';
import { createStallLimits, unlessStalled } from '../../../runtime/vdag/stall-limits.ts';

const at = (blockId: string, instanceId: string) => ({ blockId, instanceId }) as RoutedInstance;
const ms = (count: number) => count * 1e6;

function speeds() {
  const clock = { ms: 0 };
  const book = createReplicaSpeeds({ now: () => clock.ms });
  const chain = (first: string, second: string) => [at('one', first), at('two', second)];
  const step = (shards: RoutedInstance[], computeMs: readonly number[], betweenMs: number) => {
    for (let count = 0; count < 20; count += 1) {
      clock.ms += 1;
      const timings = computeMs.flatMap((one) => [ms(one), 0]);
      const inShards = computeMs.reduce((sum, one) => sum + one, 0);
      book.stepped(shards, timings, inShards + betweenMs);
    }
  };
  return { clock, book, chain, step };
}

test('a replica that computes several times as long as its siblings is slow, until it was not seen for a while', () => {
  const { clock, book, chain, step } = speeds();
  step(chain('a', 'x'), [5, 5], 2);
  step(chain('b', 'y'), [60, 5], 2);
  step(chain('c', 'y'), [7, 5], 2);
  expect([...book.slow('one')]).toEqual(['b']);
  expect([...book.slow('two')]).toEqual([]);
  expect([...book.slow('unheard of')]).toEqual([]);

  clock.ms += 60_000;
  expect([...book.slow('one')]).toEqual([]);
});

test('the time between shards counts for those that are slow in every chain', () => {
  const { book, chain, step } = speeds();
  step(chain('a', 'x'), [5, 5], 2);
  step(chain('b', 'x'), [5, 5], 2);
  step(chain('a', 'x'), [5, 5], 2);
  step(chain('b', 'y'), [5, 5], 80);
  step(chain('b', 'x'), [5, 5], 2);
  expect([...book.slow('two')]).toEqual(['y']);
  expect([...book.slow('one')]).toEqual([]);
});

test('never are all of them slow, and small differences are none', () => {
  const { book, chain, step } = speeds();
  step(chain('a', 'x'), [1, 1], 0);
  step(chain('b', 'x'), [6, 1], 0);
  expect([...book.slow('one')]).toEqual([]);
  step(chain('c', 'x'), [500, 1], 0);
  step(chain('d', 'x'), [900, 1], 0);
  expect(book.slow('one').size).toBeLessThan(4);
});

test('what has stalled is many times as long as usual, and never short', () => {
  const limits = createStallLimits({ factor: 10, minMs: 100, unknownMs: 5000 });
  expect([limits.stepMs, limits.openMs, limits.beginMs(100, 3)]).toEqual([5000, 5000, 5000]);
  for (const stepMs of [20, 30, 25]) limits.stepped(stepMs);
  limits.opened(1);
  expect([limits.stepMs, limits.openMs]).toEqual([250, 100]);
  expect(limits.beginMs(100, 4)).toBe(5000);
  limits.began(500, 50);
  expect(limits.beginMs(100, 0)).toBe(10_000);
  expect(limits.beginMs(100, 4)).toBe(11_000);
});

test('prompts whose beginning shards have do not shorten what others are given', () => {
  const limits = createStallLimits({ factor: 10, minMs: 100 });
  limits.began(4000, 4000);
  for (let count = 0; count < 64; count += 1) limits.began(50, 4000);
  expect(limits.beginMs(8000, 0)).toBeGreaterThan(70_000);
  expect(limits.beginMs(8000, 0)).toBeLessThanOrEqual(80_000);
  // One that waited long tells nothing of a token.
  limits.began(600_000, 1);
  limits.stepped(2);
  expect(limits.beginMs(8000, 0)).toBe(160_000);
});

test('waiting goes on where nobody can stand in, and its failure is told', async () => {
  let asked = 0;
  const slow = new Promise<string>((resolve) => setTimeout(() => resolve('done'), 60));
  const nobody = () => {
    asked += 1;
    return undefined;
  };
  await expect(unlessStalled(slow, 1, nobody)).resolves.toBe('done');
  expect(asked).toBeGreaterThan(1);
  const never = new Promise<string>(() => {});
  await expect(unlessStalled(never, 1, () => new Error('stalled'))).rejects.toThrow('stalled');
  await expect(
    unlessStalled(Promise.reject(new Error('lost')), 1000, () => undefined),
  ).rejects.toThrow('lost');
});

test('of a session that stands still only those are suspected that others can stand in for', () => {
  const reported: string[] = [];
  const replicas = createReplicas(
    {
      free: (_tenant, blockId) =>
        new Map(
          blockId === 'one'
            ? ([
                ['a', 3],
                ['b', 1],
              ] as const)
            : [['x', 3]],
        ),
      report: (id) => void reported.push(id),
    },
    createReplicaSpeeds(),
  );
  const chain = [at('one', 'a'), at('two', 'x')];
  expect(replicas.stalled('default', chain, 'a token', 900)).toMatchObject({
    code: 'SHARD_UNAVAILABLE',
    message: expect.stringContaining('a token did not come for 900 ms'),
    details: { cause: 'stalled', instanceIds: ['a'] },
  });
  expect(reported).toEqual(['a']);
  expect(replicas.stalled('default', [at('two', 'x')], 'a token', 900)).toBeUndefined();
  expect(reported).toEqual(['a']);
});

test('sessions that leave at the same time claim as many places as there are, all of a session or none', () => {
  const free: Record<string, ReadonlyMap<string, number>> = {
    one: new Map([
      ['a', 8],
      ['b', 2],
    ]),
    two: new Map([
      ['x', 8],
      ['y', 1],
    ]),
    alone: new Map([['z', 8]]),
    unknown: new Map([
      ['u', Number.POSITIVE_INFINITY],
      ['v', Number.POSITIVE_INFINITY],
    ]),
  };
  const replicas = createReplicas(
    { free: (_tenant, blockId) => free[blockId] ?? new Map(), report: () => {} },
    createReplicaSpeeds(),
  );
  const claim = (...shards: RoutedInstance[]) => replicas.claimStandIns('default', shards);

  const first = claim(at('one', 'a'));
  expect(first).toBeDefined();
  // Of the second block the one place is taken here, so none of the first is either.
  const both = claim(at('one', 'a'), at('two', 'x'));
  expect(both).toBeDefined();
  expect(claim(at('one', 'a'))).toBeUndefined();
  both?.();
  both?.();
  expect(claim(at('one', 'a'), at('alone', 'z'))).toBeUndefined();
  expect(claim(at('one', 'a'), at('two', 'x'))).toBeDefined();
  expect(claim(at('two', 'x'))).toBeUndefined();
  expect(claim(at('unknown', 'u'))).toBeDefined();
  expect(
    createReplicas({ report: () => {} }, createReplicaSpeeds()).claimStandIns('default', [
      at('one', 'a'),
    ]),
  ).toBeUndefined();
});
