import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import prefixAffine from '../../../policies/load-balancer/prefix-affine.ts';
import roundrobin from '../../../policies/load-balancer/roundrobin.ts';
import sessionAffine from '../../../policies/load-balancer/session-affine.ts';
import sessionAware from '../../../policies/load-balancer/session-aware-llm.ts';
import { ask, type Keeper } from './ask.ts';

const instances = (...outstanding: number[]) =>
  outstanding.map((outstandingRequests, at) => ({ id: `in-${at}`, outstandingRequests }));
const question = (sessionId: string, given = instances(0, 0, 0), promptPrefix?: string) => ({
  ...{ action: 'load_balance' as const, blockId: 'b', sessionId, instances: given },
  ...(promptPrefix === undefined ? {} : { promptPrefix }),
});
type Answer = { readonly instanceId: string };

describe('session-affine', () => {
  it('moves only the sessions of an instance that goes', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1, maxLength: 50 }), (sessions) => {
        const before = instances(0, 0, 0, 0);
        const after = before.slice(1);
        for (const session of sessions) {
          const home = ask<Answer>(sessionAffine, question(session, before)).instanceId;
          const next = ask<Answer>(sessionAffine, question(session, after)).instanceId;
          expect(after.map(({ id }) => id)).toContain(next);
          if (home !== 'in-0') expect(next).toBe(home);
        }
      }),
    );
  });

  it('spreads sessions evenly', () => {
    const counts = new Map<string, number>();
    for (let at = 0; at < 3000; at += 1) {
      const { instanceId } = ask<Answer>(sessionAffine, question(`session-${at}`));
      counts.set(instanceId, (counts.get(instanceId) ?? 0) + 1);
    }

    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe('prefix-affine', () => {
  it('brings equal beginnings together, and leaves an instance that is much busier', () => {
    const prompt = `${'You are a helpful assistant. '.repeat(20)}`;
    const home = ask<Answer>(prefixAffine, question('a', instances(0, 0, 0), `${prompt}one`));
    const again = ask<Answer>(prefixAffine, question('b', instances(3, 3, 3), `${prompt}two`));
    const busy = instances(0, 0, 0).map((each) =>
      each.id === home.instanceId ? { ...each, outstandingRequests: 9 } : each,
    );

    expect(again).toEqual(home);
    expect(ask<Answer>(prefixAffine, question('c', busy, prompt))).not.toEqual(home);
  });
});

describe("AIOS's balancers", () => {
  it('roundrobin takes turns, and keeps a conversation where it began', () => {
    const keeper: Keeper = { state: {} };
    const parameters = { cache_sessions: true };
    const order = ['a', 'b', 'c', 'a', 'b', 'd'].map(
      (session) => ask<Answer>(roundrobin, question(session), { keeper, parameters }).instanceId,
    );

    expect(order).toEqual(['in-0', 'in-1', 'in-2', 'in-0', 'in-1', 'in-0']);
  });

  it('session-aware-llm starts where fewest wait, and forgets an instance that is gone', () => {
    const keeper: Keeper = { state: {} };
    const first = ask<Answer>(sessionAware, question('a', instances(4, 1, 2)), { keeper });
    const next = ask<Answer>(sessionAware, question('a', instances(0, 9, 0)), { keeper });
    const moved = ask<Answer>(sessionAware, question('a', instances(5)), { keeper });

    expect([first, next, moved].map(({ instanceId }) => instanceId)).toEqual([
      'in-1',
      'in-1',
      'in-0',
    ]);
  });

  it('keep a bounded number of sessions, however many come and however long their names', () => {
    const keeper: Keeper = { state: {} };
    const settings = { session_cache_size: '2000' };
    for (let at = 0; at < 1200; at += 1) {
      ask(sessionAware, question(`${'x'.repeat(200)}${at}`), { keeper, settings });
    }

    expect(JSON.stringify(keeper.state).length).toBeLessThan(64 * 1024);
  });
});
