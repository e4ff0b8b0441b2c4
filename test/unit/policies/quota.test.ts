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

  it('keeps a bounded state, whoever asks', () => {
    const keeper: Keeper = { state: {} };
    for (let at = 0; at < 1000; at += 1) {
      ask(tokenBucket, question(`${'caller'.repeat(30)}${at}`), { keeper, now: at });
    }

    expect(JSON.stringify(keeper.state).length).toBeLessThan(64 * 1024);
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
