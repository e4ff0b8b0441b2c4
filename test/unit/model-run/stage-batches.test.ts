import { describe, expect, it } from 'vitest';
import {
  createStageScheduler,
  type StageScheduler,
  type StageWork,
} from '../../../runtime/model/stage-scheduler.ts';

/** Sessions that hold a prompt of one token, so that their next row is a decode step. */
function decoding(scheduler: StageScheduler, sessions: readonly number[]) {
  for (const session of sessions) {
    scheduler.open(session, 'readers');
    push(scheduler, session, 0, 2);
  }
  for (const _ of sessions) scheduler.next();
}
let id = 0;
const push = (scheduler: StageScheduler, session: number, position: number, rows = 1) =>
  scheduler.push(session, { id: id++, position, rows, input: new ArrayBuffer(0), sample: true });
const sessionsOf = (work: StageWork | undefined) => work?.steps.map(({ session }) => session);

describe('batches', () => {
  it('of a first shard of two are halves in slot order; those of the shards after are all that waits', () => {
    for (const splits of [true, false]) {
      const scheduler = createStageScheduler({ maxSessions: 99, microBatches: 2, splits });
      decoding(scheduler, [0, 1, 2, 3, 4]);
      for (const session of [4, 1, 0, 3, 2]) push(scheduler, session, 2);

      const batches = [scheduler.next(), scheduler.next()].map(sessionsOf);

      const halves = [
        [2, 3, 4],
        [0, 1],
      ];
      expect(batches).toEqual(splits ? halves : [[0, 1, 2, 3, 4], undefined]);
    }
  });

  it('leave out a slot that has nothing to compute: in two parts, or in one when slots may change places', () => {
    for (const movableTokens of [0, 3, 4]) {
      const scheduler = createStageScheduler({ maxSessions: 99, microBatches: 1, splits: true });
      decoding(scheduler, [0, 1, 2, 3, 4]);
      for (const session of [0, 1, 3, 4]) push(scheduler, session, 2);

      const batches = [scheduler.next(movableTokens), scheduler.next(movableTokens)];

      expect(batches.map(sessionsOf)).toEqual(
        movableTokens < 4
          ? [
              [0, 1],
              [3, 4],
            ]
          : [[0, 1, 4, 3], undefined],
      );
    }
  });

  it('keep together who was brought together', () => {
    const scheduler = createStageScheduler({ maxSessions: 99, microBatches: 1, splits: false });
    decoding(scheduler, [0, 1, 2, 3, 4, 5]);
    const swaps: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      for (const group of [
        [0, 2, 4],
        [1, 3, 5],
      ]) {
        for (const session of group) push(scheduler, session, 2 + round);
        const work = scheduler.next(1000);
        expect([...(sessionsOf(work) ?? [])].sort()).toEqual(group);
        swaps.push(work?.swaps.length ?? 0);
      }
    }
    expect(swaps.slice(2)).toEqual([0, 0, 0, 0]);
  });

  it('expect the sessions that decoded lately, and not one that stands still', () => {
    const scheduler = createStageScheduler({ maxSessions: 99, microBatches: 1, splits: true });
    decoding(scheduler, [0, 1, 2]);
    for (const session of [0, 1, 2]) push(scheduler, session, 2);
    scheduler.next();
    for (let round = 0; round < 4; round += 1) {
      push(scheduler, 0, 3 + round);
      expect(scheduler.expectsMore).toBe(true);
      push(scheduler, 1, 3 + round);
      // The third has not come for two rounds.
      expect(scheduler.expectsMore).toBe(round < 2);
      scheduler.next();
    }
  });
});

describe('a long prompt', () => {
  it('lets every row that came during one of its chunks go before the next', () => {
    const scheduler = createStageScheduler({ maxSessions: 99, microBatches: 2, splits: true });
    decoding(scheduler, [0, 1, 2, 3]);
    scheduler.open(9, 'writer');
    for (let chunk = 0; chunk < 3; chunk += 1) push(scheduler, 9, chunk * 64, 64);

    const order: unknown[] = [];
    for (let round = 0; round < 3; round += 1) {
      order.push(scheduler.next()?.type);
      for (const session of [0, 1, 2, 3]) push(scheduler, session, 2 + round);
      order.push(sessionsOf(scheduler.next()), sessionsOf(scheduler.next()));
    }

    const round = ['chunk', [0, 1], [2, 3]];
    expect(order).toEqual([...round, ...round, ...round]);
  });

  it('takes turns with those of other tenants, each tenant once, however many sessions one has', () => {
    const scheduler = createStageScheduler({ maxSessions: 99, microBatches: 1, splits: true });
    for (const session of [0, 1, 2]) scheduler.open(session, 'many');
    scheduler.open(3, 'one');
    for (let chunk = 0; chunk < 4; chunk += 1) {
      for (const session of [0, 1, 2, 3]) push(scheduler, session, chunk * 8, 8);
    }

    const order = Array.from({ length: 8 }, () => sessionsOf(scheduler.next())?.[0]);

    expect(order).toEqual([0, 3, 1, 3, 2, 3, 0, 3]);
  });

  it('is not put off by a tenant that opens one session after the other', () => {
    const scheduler = createStageScheduler({ maxSessions: 99, microBatches: 1, splits: true });
    scheduler.open(0, 'patient');
    for (let chunk = 0; chunk < 3; chunk += 1) push(scheduler, 0, chunk * 8, 8);
    const order: unknown[] = [];
    for (let round = 1; round < 6; round += 1) {
      scheduler.open(round, 'hasty');
      push(scheduler, round, 0, 8);
      const [session] = sessionsOf(scheduler.next()) ?? [];
      order.push(session);
      if (session === round) scheduler.close(round);
    }

    expect(order.filter((session) => session === 0)).toHaveLength(3);
  });
});
