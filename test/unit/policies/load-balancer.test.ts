import { describe, expect, it } from 'vitest';
import leastOutstanding from '../../../policies/load-balancer/least-outstanding.ts';
import roundRobin from '../../../policies/load-balancer/round-robin.ts';
import type { PolicyContext } from '../../../sdk/policy.ts';

const question = (instances: Readonly<Record<string, number>>) => ({
  ...{ action: 'load_balance' as const, blockId: 'b', sessionId: 's' },
  instances: Object.entries(instances).map(([id, outstandingRequests]) => ({
    id,
    outstandingRequests,
  })),
});

const context = (random = 0): PolicyContext<unknown, unknown> => ({
  ...{ parameters: {}, settings: {}, state: {}, now: 0, log: () => undefined },
  random: () => random,
});

describe('load balancers', () => {
  it('least-outstanding picks the idlest, at random among equals', () => {
    const instances = question({ a: 2, b: 1, c: 1 });

    expect(leastOutstanding.evaluate(instances, context(0))).toEqual({ instanceId: 'b' });
    expect(leastOutstanding.evaluate(instances, context(0.99))).toEqual({ instanceId: 'c' });
  });

  it('round-robin takes turns, also while instances come and go', () => {
    const kept = context();
    const next = (...ids: string[]) =>
      (
        roundRobin.evaluate(question(Object.fromEntries(ids.map((id) => [id, 0]))), kept) as {
          instanceId: string;
        }
      ).instanceId;

    expect([
      next('b', 'a', 'c'),
      next('b', 'a', 'c'),
      next('b', 'a', 'c'),
      next('b', 'a', 'c'),
    ]).toEqual(['a', 'b', 'c', 'a']);
    expect([next('c', 'd'), next('b', 'c', 'd'), next('b', 'c')]).toEqual(['c', 'd', 'b']);
  });
});
