import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createTurnLine } from '../../../runtime/vdag/turn-line.ts';
import { createWaitingRoom, type Place } from '../../../runtime/vdag/waiting-room.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { type GenerationLimits, generationLimits } from '../../../sdk/spec/vdag.ts';

const limitsWith = (limits: Partial<GenerationLimits> = {}) =>
  generationLimits.parse({ maxWaitMs: 60_000, ...limits });
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
const never = new AbortController().signal;

/** A room of so many places, as shards with that many slots would be. */
function roomOf(places: number) {
  let taken = 0;
  let most = 0;
  const room = createWaitingRoom({
    modelUri: 'm:1-stable',
    hasRoom: () => taken < places,
    onWaiting() {},
    onTaken() {
      taken += 1;
      most = Math.max(most, taken);
    },
    onGiven() {
      taken -= 1;
      queueMicrotask(room.advance);
    },
  });
  return { room, taken: () => taken, most: () => most };
}

const client = fc.constantFrom('a', 'b', 'c', 'd');
const action = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant('push' as const), client }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('take' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('remove' as const), at: fc.nat() }) },
);

describe('the line', () => {
  test('is first in, first out for each client, and between two turns of one every other that waited has one', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
        const line = createTurnLine<{ client: string; number: number }>();
        let waiting: { client: string; number: number }[] = [];
        const lastOf = new Map<string, number>();
        /** Clients that have waited since the last turn of each, and had none. */
        const passedOver = new Map<string, Set<string>>();
        let number = 0;
        for (const one of actions) {
          if (one.type === 'push') {
            const item = { client: one.client, number: number++ };
            line.push(one.client, item);
            waiting.push(item);
          } else if (one.type === 'remove') {
            const item = waiting[one.at % Math.max(1, waiting.length)];
            if (!item) continue;
            expect(line.remove(item.client, item)).toBe(true);
            expect(line.remove(item.client, item)).toBe(false);
            waiting = waiting.filter((other) => other !== item);
          } else {
            const item = line.take(() => true);
            expect(item === undefined).toBe(waiting.length === 0);
            if (!item) continue;
            expect(item.number).toBeGreaterThan(lastOf.get(item.client) ?? -1);
            lastOf.set(item.client, item.number);
            waiting = waiting.filter((other) => other !== item);
            expect([...(passedOver.get(item.client) ?? [])]).toEqual([]);
            for (const others of passedOver.values()) others.delete(item.client);
            const stillWait = new Set(waiting.map((other) => other.client));
            stillWait.delete(item.client);
            passedOver.set(item.client, stillWait);
          }
          const names = new Set(waiting.map((other) => other.client));
          for (const others of passedOver.values()) {
            for (const name of others) if (!names.has(name)) others.delete(name);
          }
          expect(line.size).toBe(waiting.length);
        }
      }),
    );
  });

  test('starves nobody: with n before one of its own and c clients, at most (n + 1) × c turns go by', () => {
    fc.assert(
      fc.property(
        fc.array(client, { minLength: 1, maxLength: 20 }),
        fc.array(client, { maxLength: 200 }),
        (before, later) => {
          const line = createTurnLine<number>();
          for (const [index, name] of before.entries()) line.push(name, index);
          line.push('x', -1);
          let turns = 0;
          for (const name of later) {
            // Others keep coming, one for every turn.
            line.push(name, 1000 + turns);
            turns += 1;
            if (line.take(() => true) === -1) {
              expect(turns).toBeLessThanOrEqual(5);
              return;
            }
          }
          expect(later.length).toBeLessThan(5);
        },
      ),
    );
  });
});

describe('the room', () => {
  test('loses nobody and lets in no more than there are places, whoever leaves when', async () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant('enter' as const), client }),
      fc.record({ type: fc.constant('leave' as const), at: fc.nat() }),
      fc.record({ type: fc.constant('abort' as const), at: fc.nat() }),
      fc.record({ type: fc.constant('again' as const), at: fc.nat() }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 5 }),
        fc.array(step, { maxLength: 60 }),
        async (places, maxWaiting, steps) => {
          const { room, taken, most } = roomOf(places);
          const inside: Place[] = [];
          const askers: { abort: AbortController; outcome?: string }[] = [];
          for (const one of steps) {
            if (one.type === 'enter') {
              const asker: (typeof askers)[number] = { abort: new AbortController() };
              askers.push(asker);
              room.enter(one.client, limitsWith({ maxWaiting }), asker.abort.signal).then(
                (place) => {
                  asker.outcome = 'in';
                  inside.push(place);
                },
                (error) => {
                  asker.outcome = AiosError.from(error).code;
                },
              );
            } else if (one.type === 'leave') {
              const [place] = inside.splice(one.at % Math.max(1, inside.length), 1);
              place?.leave();
              place?.leave();
            } else if (one.type === 'abort') {
              const gone = new AiosError('CANCELLED', 'gone');
              askers[one.at % Math.max(1, askers.length)]?.abort.abort(gone);
            }
            await settled();
            expect(room.waiting).toBeLessThanOrEqual(maxWaiting);
            expect(room.open).toBe(taken());
            expect(room.open).toBe(inside.length);
            const waiting = askers.filter(({ outcome }) => outcome === undefined).length;
            expect(room.waiting).toBe(waiting);
            // Nobody waits beside a free place.
            if (waiting > 0) expect(inside.length).toBe(places);
          }
          expect(most()).toBeLessThanOrEqual(places);
          while (inside.length > 0) {
            inside.pop()?.leave();
            await settled();
          }
          expect(askers.every(({ outcome }) => outcome !== undefined)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('lets clients take turns, however many of one wait', async () => {
    const { room } = roomOf(1);
    const order: string[] = [];
    const places: Place[] = [];
    const ask = (name: string) =>
      room.enter(name, limitsWith(), never).then((place) => {
        order.push(name);
        places.push(place);
      });
    const all = ['a', 'a', 'a', 'a', 'b', 'b', 'c'].map(ask);
    while (order.length < all.length) {
      await settled();
      places.pop()?.leave();
    }

    expect(order.join('')).toBe('aabcaba');
    await Promise.all(all);
  });

  test('is full for who has most in it: the newest of theirs goes, and the answer says how long it may take', async () => {
    const { room } = roomOf(1);
    const limits = limitsWith({ maxWaiting: 3 });
    const first = await room.enter('a', limits, never);
    room.pace.firstToken(500);
    room.pace.token(100);
    room.pace.ended(16);
    const greedy = [1, 2, 3].map(() => room.enter('a', limits, never));
    const refused = Promise.allSettled(greedy);
    const other = room.enter('b', limits, never);
    const tooMany = await room.enter('a', limits, never).catch(AiosError.from);

    // 2 s an answer, one at a time, 3 in line before it.
    expect(tooMany).toMatchObject({
      code: 'BUSY',
      retryable: true,
      details: { waiting: 3, maxWaiting: 3, openSessions: 1, retryAfterMs: 8000 },
    });
    expect((tooMany as AiosError).message).toContain('3 requests wait');
    expect((tooMany as AiosError).message).toContain('about 8 s');
    first.leave();
    for (const next of [greedy[0], other, greedy[1]]) (await next)?.leave();
    expect((await refused).map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
    ]);
  });

  test('holds a client to its sessions and lets others by', async () => {
    const { room } = roomOf(3);
    const limits = limitsWith({ maxSessionsPerClient: 1, maxWaiting: 1 });
    const first = await room.enter('a', limits, never);
    const second = room.enter('a', limits, never);
    await expect(room.enter('a', limits, never)).rejects.toMatchObject({
      code: 'BUSY',
      message: expect.stringContaining('maxSessionsPerClient'),
    });
    (await room.enter('b', limits, never)).leave();

    first.leave();
    expect((await second).waitedMs).toBeGreaterThanOrEqual(0);
  });

  test('lets nobody wait longer than it says', async () => {
    const { room } = roomOf(1);
    const place = await room.enter('a', limitsWith(), never);

    await expect(room.enter('b', limitsWith({ maxWaitMs: 5 }), never)).rejects.toMatchObject({
      code: 'BUSY',
      message: expect.stringContaining('maxWaitMs'),
    });
    expect(room.waiting).toBe(0);
    place.leave();
  });

  test('puts whom a shard refused before all others', async () => {
    const { room } = roomOf(1);
    const place = await room.enter('a', limitsWith(), never);
    const order: string[] = [];
    const other = room.enter('b', limitsWith(), never).then((one) => {
      order.push('b');
      one.leave();
    });
    const back = place.again().then(() => {
      order.push('a');
      place.leave();
    });
    const looking = setInterval(room.advance, 20);
    await Promise.all([back, other]);
    clearInterval(looking);

    expect(order).toEqual(['a', 'b']);
  });

  test('serves those whom shards refused as they came, and no more of them wait than may', async () => {
    let places = 12;
    let taken = 0;
    const room = createWaitingRoom({
      modelUri: 'm:1-stable',
      hasRoom: () => taken < places,
      onWaiting() {},
      onTaken() {
        taken += 1;
      },
      onGiven() {
        taken -= 1;
        queueMicrotask(room.advance);
      },
    });
    const limits = limitsWith({ maxWaiting: 4 });
    const inside = await Promise.all(
      Array.from({ length: 12 }, () => room.enter('a', limits, never)),
    );
    places = 1;
    const order: number[] = [];
    const refused: number[] = [];
    const again = inside.slice(1).map((place, at) =>
      place.again().then(
        () => {
          order.push(at);
          place.leave();
        },
        (error) => {
          expect(AiosError.from(error).code).toBe('BUSY');
          refused.push(at);
        },
      ),
    );
    await settled();
    expect(room.waiting).toBe(4);
    inside[0]?.leave();
    await Promise.all(again);

    expect(order).toEqual([0, 1, 2, 3]);
    expect(refused).toEqual([4, 5, 6, 7, 8, 9, 10]);
    expect([room.open, room.waiting]).toEqual([0, 0]);
  });
});
