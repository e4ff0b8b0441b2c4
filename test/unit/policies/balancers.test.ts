import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadBalancers } from '../../../policies/load-balancer/index.ts';
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

  it('remember as many sessions as AIOS asks for within the state that is kept, whatever the names', () => {
    const keeper: Keeper = { state: {} };
    const settings = { session_cache_size: '2000' };
    const given = instances(...Array.from({ length: 30 }, () => 0)).map((each) => ({
      ...{ ...each, id: `${'i'.repeat(200)}${each.id}` },
    }));
    const name = (at: number) => `${'é\u0001'.repeat(100)}${at}`;
    const parameters = { cache_sessions: true };
    const options = { keeper, settings, parameters };
    const homes = Array.from(
      { length: 2000 },
      (_, at) => ask<Answer>(roundrobin, question(name(at), given), options).instanceId,
    );

    expect(JSON.stringify(keeper.state).length).toBeLessThan(64 * 1024);
    expect(new Set(homes).size).toBe(30);
    for (const at of [0, 1, 999, 1999]) {
      expect(ask<Answer>(roundrobin, question(name(at), given), options).instanceId).toBe(
        homes[at],
      );
    }
  });

  it('drop the session that was silent longest', () => {
    const keeper: Keeper = { state: {} };
    const options = {
      keeper,
      settings: { session_cache_size: 4 },
      parameters: { cache_sessions: true },
    };
    const on = (session: string) => ask<Answer>(roundrobin, question(session), options).instanceId;
    const [home, silent] = [on('talks'), on('silent')];
    for (let at = 0; at < 12; at += 1) {
      on(`other-${at}`);
      expect(on('talks')).toBe(home);
    }

    // It takes the next turn like a new one, and its old place was another.
    expect([silent, on('silent')]).toEqual(['in-1', 'in-2']);
  });

  it('write nothing where nothing changes, and remember nothing with a cache of none', () => {
    const keeper: Keeper = { state: {} };
    const state = { cache: { instances: ['in-2'], sessions: [] as unknown[] } };
    ask(sessionAware, question('a', instances(1, 1, 0)), { keeper });
    const context = {
      ...{ parameters: { cache_sessions: true }, settings: { session_cache_size: 1000 } },
      ...{ state: keeper.state, now: 0, random: () => 0, log: () => undefined },
    };
    const before = context.state;
    sessionAware.evaluate(question('a', instances(0, 0, 9)), context);
    expect(context.state).toBe(before);

    const none: Keeper = { state: {} };
    ask(sessionAware, question('a', instances(1, 1, 0)), {
      ...{ keeper: none, settings: { session_cache_size: 0 } },
    });
    expect(none.state).toEqual(state);
  });

  it('roundrobin without cache_sessions gives requests in turn', () => {
    const keeper: Keeper = { state: {} };
    const order = ['a', 'a', 'a', 'a'].map(
      (session) => ask<Answer>(roundrobin, question(session), { keeper }).instanceId,
    );

    expect(order).toEqual(['in-0', 'in-1', 'in-2', 'in-0']);
    expect(keeper.state).toEqual({ last: 'in-0' });
  });
});

describe('every balancer', () => {
  it.each(loadBalancers.map((policy) => [policy.name, policy] as const))(
    '%s takes an instance of the question, and only that one while nothing changes',
    (_, policy) => {
      fc.assert(
        fc.property(
          fc.array(fc.nat(20), { minLength: 1, maxLength: 6 }),
          fc.string(),
          fc.option(fc.string(), { nil: undefined }),
          (outstanding, session, prompt) => {
            const given = instances(...outstanding);
            const asked = question(session, given, prompt);
            const first = ask<Answer>(policy, asked).instanceId;

            expect(given.map(({ id }) => id)).toContain(first);
            expect(ask<Answer>(policy, asked).instanceId).toBe(first);
          },
        ),
      );
    },
  );
});
