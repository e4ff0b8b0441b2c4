import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { builtinPolicies } from '../../../policies/index.ts';
import { createMemoryStore } from '../../../runtime/store/index.ts';
import type { HookName } from '../../../sdk/hooks.ts';
import { hooks } from '../../../sdk/hooks.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import { ask, type Bench, decide, openBench } from './support.ts';

const opened: Bench[] = [];
async function open(...args: Parameters<typeof openBench>): Promise<Bench> {
  const bench = await openBench(...args);
  opened.push(bench);
  return bench;
}
afterEach(async () => {
  for (const bench of opened.splice(0)) await bench.close();
});

/** Uses everything that an evaluation may depend on. */
const gambler = definePolicy({
  hook: 'autoscaler',
  name: 'gambler',
  version: '1.0.0',
  description: 'For a test.',
  parameters: z.object({ most: z.number().default(9) }),
  evaluate({ block }, context) {
    const seen = Number(context.state.seen ?? 0) + 1;
    context.state = { seen, long: 'x'.repeat(600) };
    context.log(`seen ${seen}`);
    const { most } = context.parameters;
    const instances = Math.floor(context.random() * most) + seen;
    return { instances, reason: `${block.id} at ${context.now}, seen ${seen}` };
  },
});
const timid = definePolicy({
  hook: 'autoscaler',
  name: 'timid',
  version: '1.0.0',
  description: 'For a test.',
  parameters: z.strictObject({ least: z.number().default(2), most: z.number().max(5).default(4) }),
  evaluate: (_, { parameters }) => ({ instances: parameters.most, reason: 'as told' }),
});
const thrower = definePolicy({
  hook: 'autoscaler',
  name: 'thrower',
  version: '1.0.0',
  description: 'For a test.',
  evaluate: () => {
    throw new Error('told to fail');
  },
});
const extra = [gambler, timid, thrower];
const uri = (name: string) => `${name}:1.0.0-stable`;

describe.each(builtinPolicies.map((policy) => [policy.uri, policy.hook] as const))(
  'a decision of %s',
  (policyUri, hook) => {
    it.each(Object.keys(hooks[hook as HookName].outputs))(
      'about %s is made again, exactly, from what was stored',
      async (action) => {
        const bench = await open();
        const id = decide(bench.log, await ask(bench.host, { hook, action, uri: policyUri }));

        const replay = await bench.replayer.replay('default', id);

        expect(replay.evaluations[0]?.differences).toEqual([]);
        expect(replay).toMatchObject({
          same: true,
          skipped: [],
          evaluations: [{ codeChanged: false }],
        });
      },
    );
  },
);

describe('a replay', () => {
  it('has the seed, the time and the state of then, also after a restart, and keeps nothing', async () => {
    const store = createMemoryStore();
    const before = await open({ store, extra });
    const ids: string[] = [];
    for (let at = 0; at < 5; at += 1) {
      const question = { hook: 'autoscaler', action: 'evaluate', uri: uri('gambler') } as const;
      ids.push(
        decide(before.log, await ask(before.host, { ...question, parameters: { most: 50 } })),
      );
    }
    await before.log.close();
    await before.host.close();
    const after = await open({ store, extra });

    for (const id of ids) {
      const { same, evaluations } = await after.replayer.replay('default', id);
      expect(evaluations[0]?.differences).toEqual([]);
      expect(same).toBe(true);
    }
    const state = await store.list<{ version: number }>('default', 'policy-state');
    expect(state.map(({ value }) => value.version)).toEqual([5]);
    expect(await after.log.list('default')).toHaveLength(5);
  });

  it('of a policy that failed fails alike', async () => {
    const { host, log, replayer } = await open({ extra });
    const id = decide(
      log,
      await ask(host, { hook: 'autoscaler', action: 'evaluate', uri: uri('thrower') }),
    );

    const replay = await replayer.replay('default', id);

    expect(replay.same).toBe(true);
    expect(replay.evaluations[0]?.replayed).toMatchObject({
      output: { hold: true },
      error: { code: 'POLICY_THREW' },
    });
  });

  it('with another policy gives it what of the parameters it takes, and shows where the answers differ', async () => {
    const { host, log, replayer } = await open({ extra });
    const question = { hook: 'autoscaler', action: 'evaluate', uri: uri('gambler') } as const;
    const id = decide(log, await ask(host, { ...question, parameters: { most: 50 } }));

    const adapted = await replayer.replay('default', id, { with: { policyRuleURI: uri('timid') } });
    const given = await replayer.replay('default', id, {
      with: { policyRuleURI: uri('timid'), parameters: { most: 3 } },
    });

    expect(adapted.same).toBe(false);
    expect(adapted.evaluations[0]).toMatchObject({
      leftOut: ['most'],
      replayed: { parameters: { least: 2, most: 4 }, output: { instances: 4 } },
    });
    expect(adapted.evaluations[0]?.differences.map(({ path }) => path)).toContain('$.reason');
    expect(given.evaluations[0]?.replayed).toMatchObject({ output: { instances: 3 } });
  });

  it('with other parameters asks the same policy', async () => {
    const { host, log, replayer } = await open({ extra });
    const question = { hook: 'autoscaler', action: 'evaluate', uri: uri('timid') } as const;
    const id = decide(log, await ask(host, question));

    const { evaluations } = await replayer.replay('default', id, {
      with: { parameters: { most: 1 } },
    });

    expect(evaluations[0]?.differences).toEqual([
      { path: '$.instances', recorded: '4', replayed: '1' },
    ]);
  });

  it('refuses what cannot be asked, in a sentence', async () => {
    const { host, log, replayer } = await open({ extra });
    const id = decide(log, await ask(host, { hook: 'autoscaler', action: 'evaluate' }));
    const bare = log.record({
      ...{ tenant: 'default', subject: 'network', reason: 'request', outcome: 'allowed' },
      ...{
        message: '',
        evaluations: [JSON.parse(JSON.stringify((await log.get('default', id)).evaluations[0]))],
      },
    }).id;
    const replay = (decision: string, request: Parameters<typeof replayer.replay>[2]) =>
      replayer.replay('default', decision, request);

    await expect(replay('decision-x', {})).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(replayer.replay('other', id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(replay(id, { evaluation: 7 })).rejects.toThrow(/there is no 7/);
    await expect(replay(bare, {})).rejects.toThrow(/without its input/);
    await expect(replay(id, { with: { policyRuleURI: uri('bin-pack') } })).rejects.toThrow(
      /hook 'resourceAllocator', which .* did not ask \(it asked: autoscaler\)/,
    );
    await expect(replay(id, { with: { policyRuleURI: uri('tmid') } })).rejects.toMatchObject({
      code: 'POLICY_NOT_FOUND',
    });
    await expect(
      replay(id, { with: { policyRuleURI: uri('timid'), parameters: { most: 'a' } } }),
    ).rejects.toMatchObject({ code: 'SPEC_INVALID' });
  });

  it('says that the code is another one', async () => {
    const store = createMemoryStore();
    const before = await open({ store, extra });
    const evaluation = await ask(before.host, { hook: 'autoscaler', action: 'evaluate' });
    const id = decide(before.log, Object.assign(evaluation, { policyHash: 'sha256:of-before' }));

    const replay = await before.replayer.replay('default', id);

    expect(replay.same).toBe(false);
    expect(replay.evaluations[0]).toMatchObject({ codeChanged: true, same: true });
  });

  it('is refused when what was recorded is not what is stored', async () => {
    const { host, log, replayer, store } = await open();
    const id = decide(log, await ask(host, { hook: 'resourceAllocator', action: 'dry_run' }));
    await log.flush();
    const [part] = await store.list<string>('default', 'decision-part');
    const value = part?.value.replace('"healthy":true', '"healthy":false');
    await store.commit([
      { type: 'put', tenant: 'default', kind: 'decision-part', id: part?.id ?? '', value },
    ]);

    await expect(replayer.replay('default', id)).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  });
});
