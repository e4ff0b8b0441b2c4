import { afterEach, describe, expect, it } from 'vitest';
import { openShadows, type Shadows } from '../../../runtime/decision/index.ts';
import { createMemoryStore } from '../../../runtime/store/index.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import { ask, type Bench, decide, openBench } from './support.ts';

const opened: { close(): Promise<void> }[] = [];
async function open(store = createMemoryStore()): Promise<{ bench: Bench; shadows: Shadows }> {
  const bench = await openBench({ store, extra: [first, thrower, counter] });
  const shadows = await openShadows({ store, policies: bench.host, writeDelayMs: 60_000 });
  opened.push(bench, shadows);
  return { bench, shadows };
}
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.close();
});

const about = { hook: 'loadBalancer', version: '1.0.0', description: 'For a test.' } as const;
const first = definePolicy({
  ...{ ...about, name: 'first' },
  evaluate: ({ instances }) => ({ instanceId: instances[0]?.id ?? '' }),
});
const thrower = definePolicy({
  ...{ ...about, name: 'thrower' },
  evaluate: () => {
    throw new Error('told to fail');
  },
});
/** Takes the second instance from the third question on. */
const counter = definePolicy({
  ...{ ...about, name: 'counter' },
  evaluate({ instances }, context) {
    const asked = Number(context.state.asked ?? 0);
    context.state = { asked: asked + 1 };
    return { instanceId: instances[asked < 2 ? 1 : 0]?.id ?? '' };
  },
});
const uri = (name: string) => ({ policyRuleURI: `${name}:1.0.0-stable` }) as never;
const balance = { hook: 'loadBalancer', action: 'load_balance' } as const;

describe('a shadow', () => {
  it('is asked what the live policy was asked, and changes none of its answers', async () => {
    const { bench, shadows } = await open();
    await shadows.set('default', 'loadBalancer', uri('first'));

    const evaluation = await ask(bench.host, balance);
    const decisionId = decide(bench.log, evaluation);
    await shadows.idle();

    expect(evaluation.output).toEqual({ instanceId: 'in-2' });
    expect(shadows.reports('default')).toMatchObject([
      {
        ...{ hook: 'loadBalancer', policyUri: 'first:1.0.0-stable' },
        ...{ evaluations: 1, agreed: 0, differed: 1, failed: 0, dropped: 0 },
        examples: [
          {
            ...{ decisionId, useSite: 'block/b', livePolicyUri: 'least-outstanding:1.0.0-stable' },
            differences: [{ path: '$.instanceId', recorded: '"in-2"', replayed: '"in-1"' }],
          },
        ],
      },
    ]);
    expect(shadows.reports('other')).toEqual([]);
  });

  it('has a state of its own', async () => {
    const { bench, shadows } = await open();
    await shadows.set('default', 'loadBalancer', uri('counter'));

    for (let at = 0; at < 5; at += 1) await ask(bench.host, balance);
    await shadows.idle();

    expect(shadows.reports('default')).toMatchObject([{ agreed: 2, differed: 3 }]);
    expect(await bench.store.list('default', 'policy-state')).toEqual([]);
  });

  it('that fails is counted, and drops what it has no time for', async () => {
    const { bench, shadows } = await open();
    await shadows.set('default', 'loadBalancer', uri('thrower'));

    const answers = await Promise.all(Array.from({ length: 90 }, () => ask(bench.host, balance)));
    await Promise.all(Array.from({ length: 90 }, () => ask(bench.host, balance)));
    await shadows.idle();

    expect(answers.every(({ error }) => error === undefined)).toBe(true);
    const [report] = shadows.reports('default');
    expect((report?.failed ?? 0) + (report?.dropped ?? 0)).toBe(180);
    expect(report?.failed).toBeGreaterThan(0);
    expect(report?.examples[0]?.error).toMatchObject({ code: 'POLICY_THREW' });
    expect(report?.examples.length).toBeLessThanOrEqual(50);
  });

  it('takes a different score or reason for the same decision', async () => {
    const { bench, shadows } = await open();
    await shadows.set('default', 'resourceAllocator', uri('spread'));

    const { evaluation } = {
      evaluation: await ask(bench.host, { hook: 'resourceAllocator', action: 'allocation' }),
    };
    await shadows.idle();

    expect(evaluation.output).toMatchObject({ accept: true });
    expect(shadows.reports('default')).toMatchObject([{ agreed: 1, differed: 0 }]);
  });

  it('and its report outlive a restart, until it is taken off', async () => {
    const store = createMemoryStore();
    const before = await open(store);
    await before.shadows.set('default', 'loadBalancer', uri('first'));
    await ask(before.bench.host, balance);
    await before.shadows.close();

    const { bench, shadows } = await open(store);
    await ask(bench.host, balance);
    await shadows.idle();
    expect(shadows.reports('default')).toMatchObject([{ evaluations: 2, differed: 2 }]);

    await shadows.remove('default', 'loadBalancer');
    await ask(bench.host, balance);
    expect(shadows.reports('default')).toEqual([]);
    expect(await store.list('default', 'shadow')).toEqual([]);
    await expect(shadows.remove('default', 'loadBalancer')).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('of a wrong hook, policy or kind of policy is refused', async () => {
    const { shadows } = await open();
    const set = (hook: string, name: string) => shadows.set('default', hook, uri(name));

    await expect(set('loadBalancr', 'first')).rejects.toThrow(/did you mean 'loadBalancer'/);
    await expect(set('loadBalancer', 'nobody')).rejects.toMatchObject({ code: 'SPEC_INVALID' });
    await expect(set('loadBalancer', 'bin-pack')).rejects.toThrow(/another hook/);
    await expect(shadows.set('default', 'loadBalancer', {})).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });
});
