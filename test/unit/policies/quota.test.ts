import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import fairShare from '../../../policies/quota-checker/fair-share.ts';
import tokenBucket from '../../../policies/quota-checker/token-bucket.ts';
import { ask, type Keeper } from './ask.ts';

const question = (caller: string, cost = 1) => ({
  ...{ action: 'check' as const, vdagUri: 'v:1-x', caller, sessionId: 's', cost, requests: 1 },
});
type Answer = { readonly allowed: boolean; readonly retryAfterMs?: number };

describe('token-bucket', () => {
  it('never admits more than burst and rate allow, over any stretch of time', () => {
    const request = fc.record({
      afterMs: fc.integer({ min: 0, max: 5000 }),
      cost: fc.integer({ min: 1, max: 4 }),
      caller: fc.constantFrom('a', 'b'),
    });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 60 }), (requests) => {
        const keeper: Keeper = { state: {} };
        const parameters = { rate_per_second: 2, burst: 5 };
        let now = 1_000_000;
        const startedMs = now;
        const spent = new Map<string, number>();
        for (const { afterMs, cost, caller } of requests) {
          now += afterMs;
          const { allowed } = ask<Answer>(tokenBucket, question(caller, cost), {
            ...{ keeper, parameters, now },
          });
          if (allowed) spent.set(caller, (spent.get(caller) ?? 0) + cost);
          const most = 5 + ((now - startedMs) / 1000) * 2;
          for (const total of spent.values()) expect(total).toBeLessThanOrEqual(most + 1e-6);
        }
      }),
    );
  });

  it('says when to come back, and then admits', () => {
    const keeper: Keeper = { state: {} };
    const parameters = { rate_per_second: 1, burst: 1 };
    const at = (now: number) =>
      ask<Answer>(tokenBucket, question('a'), { keeper, parameters, now });

    expect(at(0).allowed).toBe(true);
    const refused = at(200);
    expect(refused).toMatchObject({ allowed: false, retryAfterMs: 800 });
    expect(at(200 + (refused.retryAfterMs ?? 0)).allowed).toBe(true);
  });

  it('forgets nobody who has spent, however many others come in between', () => {
    const keeper: Keeper = { state: {} };
    const parameters = { burst: 10, rate_per_second: 1e-6 };
    let now = 0;
    let admitted = 0;
    for (let round = 0; round < 3; round += 1) {
      for (let at = 0; at < 12; at += 1) {
        const options = { keeper, parameters, now };
        admitted += Number(ask<Answer>(tokenBucket, question('me'), options).allowed);
      }
      for (let at = 0; at < 450; at += 1) {
        now += 1;
        ask(tokenBucket, question(`${round}-${at}`, 10), { keeper, parameters, now });
      }
    }

    expect(admitted).toBe(10);
  });

  it('gives all for whom there is no room together what one of them would have', () => {
    const keeper: Keeper = { state: {} };
    const admitted = Array.from(
      { length: 450 },
      (_, at) => ask<Answer>(tokenBucket, question(`c${at}`, 10), { keeper }).allowed,
    );

    expect(admitted.filter(Boolean)).toHaveLength(401);
  });

  it('fills nothing when the clock is set back, and says of what is too dear that it never goes', () => {
    const keeper: Keeper = { state: {} };
    const at = (now: number, cost: number) =>
      ask<Answer>(tokenBucket, question('a', cost), { keeper, now });
    expect(at(100_000, 10).allowed).toBe(true);

    expect(at(50_000, 1).allowed).toBe(false);
    expect(at(100_000, 1).allowed).toBe(false);
    expect(at(200_000, 11)).not.toHaveProperty('retryAfterMs');
  });
});

describe('fair-share', () => {
  it('never spends more than the capacity, and gives each its share whoever comes first', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 120 }), (callers) => {
        const keeper: Keeper = { state: {} };
        const parameters = { capacity: 30 };
        const spent = new Map<string, number>();
        for (const caller of callers) {
          const { allowed } = ask<Answer>(fairShare, question(caller), { keeper, parameters });
          if (allowed) spent.set(caller, (spent.get(caller) ?? 0) + 1);
        }
        const total = [...spent.values()].reduce((a, b) => a + b, 0);
        expect(total).toBeLessThanOrEqual(30);
      }),
    );
  });

  it('lets one alone have all, and the next window begin anew', () => {
    const keeper: Keeper = { state: {} };
    const parameters = { capacity: 5, window_seconds: 1 };
    const at = (now: number) => ask<Answer>(fairShare, question('a'), { keeper, parameters, now });

    expect([1, 2, 3, 4, 5, 6].map((now) => at(now).allowed)).toEqual([
      true,
      true,
      true,
      true,
      true,
      false,
    ]);
    expect(at(10).retryAfterMs).toBe(990);
    expect(at(1000).allowed).toBe(true);
  });

  it('goes by weight once both ask', () => {
    const keeper: Keeper = { state: {} };
    const parameters = { capacity: 12, weights: { big: 3 } };
    const spend = (caller: string) =>
      ask<Answer>(fairShare, question(caller), { keeper, parameters }).allowed;
    spend('small');
    spend('big');

    const small = Array.from({ length: 20 }, () => spend('small')).filter(Boolean).length;
    const big = Array.from({ length: 20 }, () => spend('big')).filter(Boolean).length;

    expect(small).toBe(2);
    expect(big).toBe(8);
  });
});

describe('whoever asks', () => {
  const names = ['constructor', '__proto__', 'toString', '=a', '#a', '*', '', '\u0000'];

  it.each([
    ['token-bucket', tokenBucket, { burst: 2, rate_per_second: 0.001 }],
    ['fair-share', fairShare, { capacity: 2 * names.length }],
  ])('%s counts each by itself, whatever the name', (_, policy, parameters) => {
    const keeper: Keeper = { state: {} };
    const spend = (caller: string) =>
      ask<Answer>(policy, question(caller), { keeper, parameters }).allowed;

    for (const _round of [1, 2])
      for (const name of names) expect([name, spend(name)]).toEqual([name, true]);
    for (const name of names) expect([name, spend(name)]).toEqual([name, false]);
  });

  it.each([
    ['token-bucket', tokenBucket, {}],
    ['fair-share', fairShare, { capacity: 500 }],
  ])('%s keeps a bounded state and a short reason, whatever the names', (_, policy, parameters) => {
    const keeper: Keeper = { state: {} };
    let admitted = 0;
    for (let at = 0; at < 700; at += 1) {
      const caller = `${'\u0001é'.repeat(40)}${at}${'x'.repeat(3000)}`;
      const answer = ask<Answer & { reason?: string }>(policy, question(caller, 1), {
        ...{ keeper, parameters },
      });
      admitted += Number(answer.allowed);
      expect((answer.reason ?? '').length).toBeLessThan(1000);
    }

    expect(JSON.stringify(keeper.state).length).toBeLessThan(64 * 1024);
    if (policy === fairShare) expect(admitted).toBeLessThanOrEqual(500);
  });
});
