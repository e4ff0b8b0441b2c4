import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { builtinPolicies } from '../../../policies/index.ts';
import {
  createPolicyHost,
  deepFreeze,
  digestOf,
  type PolicyHost,
  type PolicyHostOptions,
} from '../../../runtime/policy/index.ts';
import { createMemoryStore, type Store } from '../../../runtime/store/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import type { AnyPolicy, PolicyContext } from '../../../sdk/policy.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import { policyReference } from '../../../sdk/spec/common.ts';

type Balance = { instances: readonly { id: string; outstandingRequests: number }[] };
type Answer = (input: Balance, context: PolicyContext<unknown, unknown>) => unknown;

/** A load balancer; what a wrong one returns is not for the types. */
const balancer = (
  name: string,
  evaluate: Answer,
  schemas: { parameters?: z.ZodType; settings?: z.ZodType } = {},
) =>
  definePolicy({
    hook: 'loadBalancer',
    name,
    version: '1.0.0',
    description: 'For a test.',
    parameters: schemas.parameters ?? z.object({}),
    settings: schemas.settings ?? z.object({}),
    evaluate: evaluate as never,
  });

const opened: PolicyHost[] = [];
function open(extra: readonly AnyPolicy[], options: Partial<PolicyHostOptions> = {}): PolicyHost {
  const host = createPolicyHost({
    builtins: [...builtinPolicies, ...extra],
    store: createMemoryStore(),
    loadArtifact: () => Promise.reject(new Error('no artifacts')),
    ...options,
  });
  opened.push(host);
  return host;
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((host) => host.close()));
});

const question = () => ({
  ...{ action: 'load_balance' as const, blockId: 'b', sessionId: 's' },
  instances: [
    { id: 'a', outstandingRequests: 2 },
    { id: 'b', outstandingRequests: 1 },
  ],
});

const balance = (
  host: PolicyHost,
  reference?: z.input<typeof policyReference>,
  defaults?: z.input<typeof policyReference>,
) =>
  host.evaluate({
    tenant: 'default',
    hook: 'loadBalancer',
    action: 'load_balance',
    ...(reference ? { reference: policyReference.parse(reference) } : {}),
    ...(defaults ? { defaults: policyReference.parse(defaults) } : {}),
    input: question(),
    useSite: 'block/b',
    inventoryRevision: 7,
  });

async function failure(run: Promise<unknown>): Promise<AiosError> {
  try {
    await run;
  } catch (fault) {
    return AiosError.from(fault);
  }
  throw new Error('expected a failure');
}

const uri = (name: string) => ({ policyRuleURI: `${name}:1.0.0-stable` });

describe('the policy host', () => {
  it('does not start without the default policies, and names them', () => {
    const start = () =>
      open([], { builtins: builtinPolicies.filter(({ hook }) => hook === 'splitPlanner') });

    expect(start).toThrow(expect.objectContaining({ code: 'POLICY_DEFAULT_MISSING' }));
    expect(start).toThrow(/best-score:1\.0\.0-stable.*bin-pack.*least-outstanding/);
  });

  it('does not start with two policies of one URI', () => {
    expect(() => open([balancer('twin', () => ({})), balancer('twin', () => ({}))])).toThrow(
      expect.objectContaining({ code: 'ALREADY_EXISTS' }),
    );
  });

  it('takes the default policy of a hook, and records everything that decided', async () => {
    const host = open([], { clock: () => 1234, seed: () => 99 });

    const { output, evaluation } = await balance(host);

    expect(output).toEqual({ instanceId: 'b' });
    expect(evaluation).toMatchObject({
      ...{ hook: 'loadBalancer', action: 'load_balance', nowMs: 1234, seed: 99 },
      policyUri: 'least-outstanding:1.0.0-stable',
      ...{ stateRevision: 0, inventoryRevision: 7, output: { instanceId: 'b' }, logs: [] },
    });
    expect(evaluation.policyHash).toMatch(/^sha256:/);
    expect(evaluation.inputDigest).toBe(digestOf(question()));
  });

  it('resolves a tagless URI by exact name and version, and says when several match', async () => {
    const beta = definePolicy({
      ...balancer('first', () => ({ instanceId: 'a' })),
      releaseTag: 'beta',
    });
    const host = open([
      balancer('first', () => ({ instanceId: 'a' })),
      beta,
      balancer('only', () => ({ instanceId: 'a' })),
    ]);

    expect((await balance(host, { policyRuleURI: 'only:1.0.0' })).output).toEqual({
      instanceId: 'a',
    });
    expect((await failure(balance(host, { policyRuleURI: 'first:1.0.0' }))).code).toBe(
      'URI_AMBIGUOUS',
    );
    expect((await failure(balance(host, { policyRuleURI: 'only:1.0' }))).code).toBe(
      'POLICY_NOT_FOUND',
    );
  });

  it('names the nearest policy when there is none of that URI', async () => {
    const error = await failure(balance(open([]), uri('round-robbin')));

    expect(error.code).toBe('POLICY_NOT_FOUND');
    expect(error.message).toContain("did you mean 'round-robin:1.0.0-stable'");
  });

  it('refuses a policy of another hook', async () => {
    expect((await failure(balance(open([]), uri('bin-pack')))).code).toBe('SPEC_INVALID');
  });

  it('merges use site over defaults over schema, key by key, and leaves out defaults for another policy', async () => {
    const schema = z.object({
      a: z.number().default(1),
      b: z.number().default(1),
      c: z.number().default(1),
    });
    const echo = balancer(
      'echo',
      ({ instances }, { parameters, log }) => {
        log(JSON.stringify(parameters));
        return { instanceId: instances[0]?.id };
      },
      { parameters: schema },
    );
    const host = open([echo]);
    const parametersOf = async (
      ...references: Parameters<typeof balance> extends [unknown, ...infer R] ? R : never
    ) => (await balance(host, ...references)).evaluation.parameters;

    expect(
      await parametersOf({ ...uri('echo'), parameters: { a: 3 } }, { parameters: { a: 2, b: 2 } }),
    ).toEqual({ a: 3, b: 2, c: 1 });
    expect(await parametersOf(undefined, { ...uri('echo'), parameters: { b: 2 } })).toEqual({
      a: 1,
      b: 2,
      c: 1,
    });
    expect(
      await parametersOf(uri('echo'), { ...uri('round-robin'), parameters: { b: 2 } }),
    ).toEqual({ a: 1, b: 1, c: 1 });
  });

  it('reports every wrong parameter and setting with its path before running', async () => {
    let runs = 0;
    const strict = balancer(
      'strict',
      () => {
        runs += 1;
        return { instanceId: 'a' };
      },
      {
        parameters: z.strictObject({ threshold: z.number() }),
        settings: z.strictObject({ mode: z.enum(['fast', 'slow']).default('fast') }),
      },
    );

    const error = await failure(
      balance(open([strict]), {
        ...uri('strict'),
        parameters: { treshold: 1 },
        settings: { mode: 'fats' },
      }),
    );

    expect(error.code).toBe('SPEC_INVALID');
    expect(error.problems.map(({ path }) => path)).toEqual([
      '$.policies.loadBalancer.parameters.threshold',
      '$.policies.loadBalancer.parameters.treshold',
      '$.policies.loadBalancer.settings.mode',
    ]);
    expect(runs).toBe(0);
  });

  it.each<[string, string, Answer]>([
    [
      'throws',
      'POLICY_THREW',
      () => {
        throw new Error('boom');
      },
    ],
    [
      'throws something that is no error',
      'POLICY_THREW',
      () => {
        throw 'boom';
      },
    ],
    ['returns nothing', 'POLICY_OUTPUT_INVALID', () => undefined],
    ['returns the wrong shape', 'POLICY_OUTPUT_INVALID', () => ({ instance: 'a' })],
    ['names an instance that is not there', 'POLICY_OUTPUT_INVALID', () => ({ instanceId: 'zz' })],
    ['returns a promise', 'POLICY_OUTPUT_INVALID', async () => ({ instanceId: 'a' })],
    [
      'keeps a state that is no JSON',
      'POLICY_OUTPUT_INVALID',
      (_, context) => {
        context.state = { big: 1n as never };
        return { instanceId: 'a' };
      },
    ],
    [
      'keeps too much state',
      'POLICY_LIMIT_EXCEEDED',
      (_, context) => {
        context.state = { big: 'x'.repeat(100_000) };
        return { instanceId: 'a' };
      },
    ],
    [
      'changes its input',
      'POLICY_THREW',
      ({ instances }) => {
        (instances as unknown[]).pop();
        return { instanceId: 'a' };
      },
    ],
    [
      'takes too long',
      'POLICY_TIMEOUT',
      () => {
        const end = performance.now() + 60;
        while (performance.now() < end);
        return { instanceId: 'a' };
      },
    ],
  ])(
    'serves a request by the least queued instance when the load balancer %s',
    async (_, code, evaluate) => {
      const { output, evaluation } = await balance(open([balancer('bad', evaluate)]), uri('bad'));

      expect(evaluation.error?.code).toBe(code);
      expect(output).toEqual({ instanceId: 'b' });
    },
  );

  it('fails with the reason and the record at a hook that must not guess', async () => {
    const broken = definePolicy({
      ...{ hook: 'splitPlanner', name: 'broken', version: '1.0.0', description: 'For a test.' },
      ...{ parameters: z.object({}), settings: z.object({}) },
      evaluate: (_, { log }) => {
        log('looking');
        return { firstLayers: [0, 5] };
      },
    });
    const host = open([broken]);

    const error = await failure(
      host.evaluate({
        ...{
          tenant: 'default',
          hook: 'splitPlanner',
          action: 'plan',
          useSite: 'split/m',
          inventoryRevision: 0,
        },
        reference: policyReference.parse(uri('broken')),
        input: {
          action: 'plan',
          model: {
            name: 'm',
            layers: [{ residentBytes: 1, kvBytes: 0 }],
            embeddingBytes: 0,
            headBytes: 0,
            overheadBytes: 0,
          },
          nodes: [],
        },
      }),
    );

    expect(error.code).toBe('POLICY_OUTPUT_INVALID');
    expect(error.problems[0]).toMatchObject({ path: '$.firstLayers', seen: '[0,5]' });
    expect(error.details.evaluation).toMatchObject({
      logs: ['looking'],
      error: { code: 'POLICY_OUTPUT_INVALID' },
    });
  });

  it('bounds what a policy logs', async () => {
    const chatty = balancer('chatty', (_, { log }) => {
      for (let line = 0; line < 5000; line += 1) log('x'.repeat(5000));
      return { instanceId: 'a' };
    });

    const { evaluation } = await balance(open([chatty]), uri('chatty'));

    expect(evaluation.logs).toHaveLength(100);
    expect(evaluation.logs[0]).toHaveLength(500);
  });

  it('gives the same numbers for the same seed', async () => {
    const dice = balancer('dice', ({ instances }, { random }) => ({
      instanceId: instances[Math.floor(random() * instances.length)]?.id,
    }));
    const draw = async (seed: number) =>
      (await balance(open([dice], { seed: () => seed }), uri('dice'))).output;

    expect(await draw(5)).toEqual(await draw(5));
    const drawn = await Promise.all(Array.from({ length: 20 }, (_, seed) => draw(seed)));
    expect(new Set(drawn.map(({ instanceId }) => instanceId)).size).toBe(2);
  });

  it('keeps state between evaluations and across restarts, and counts its changes', async () => {
    const store = createMemoryStore();
    const first = open([], { store });
    const picked = [];
    for (let at = 0; at < 3; at += 1) picked.push(await balance(first, uri('round-robin')));
    await first.close();

    const second = open([], { store });
    picked.push(await balance(second, uri('round-robin')));

    expect(picked.map(({ output }) => output.instanceId)).toEqual(['a', 'b', 'a', 'b']);
    expect(picked.map(({ evaluation }) => evaluation.stateRevision)).toEqual([0, 1, 2, 3]);
  });

  it('takes over the state that another process stored', async () => {
    const store: Store = createMemoryStore();
    const host = open([], { store, stateWriteDelayMs: 0 });
    await balance(host, uri('round-robin'));
    await new Promise((resolve) => setTimeout(resolve, 5));
    const key = {
      tenant: 'default',
      kind: 'policy-state' as const,
      id: 'round-robin:1.0.0-stable@block/b',
    };
    await store.commit([{ type: 'put', ...key, value: { version: 40, state: { last: 'a' } } }]);

    await balance(host, uri('round-robin'));
    await new Promise((resolve) => setTimeout(resolve, 5));
    const { evaluation } = await balance(host, uri('round-robin'));

    expect(evaluation.stateRevision).toBe(40);
  });

  it('stores what many evaluations change in few commits', async () => {
    const store: Store = createMemoryStore();
    const host = open([], { store });

    for (let at = 0; at < 100; at += 1) await balance(host, uri('round-robin'));
    expect(await store.revision()).toBe(0);
    await host.close();

    expect(await store.revision()).toBe(1);
    expect((await store.list('default', 'policy-state'))[0]?.value).toMatchObject({ version: 100 });
  });

  it('forgets what policies keep of a use site that is gone, in memory and in the store', async () => {
    const store: Store = createMemoryStore();
    const host = open([], { store, stateWriteDelayMs: 0 });
    await balance(host, uri('round-robin'));
    const another = { tenant: 'default', kind: 'policy-state', id: 'x:1-s@xblock/b' } as const;
    await store.commit([{ type: 'put', ...another, value: {} }]);

    await host.forget('default', 'block/b');
    await balance(host, uri('round-robin')).then(({ evaluation }) =>
      expect(evaluation.stateRevision).toBe(0),
    );
    await host.forget('default', 'block/b');
    await host.close();

    expect((await store.list('default', 'policy-state')).map(({ id }) => id)).toEqual([another.id]);
  });

  it('answers by onError instead of letting more than a hundred evaluations wait', async () => {
    const host = open([]);

    const all = await Promise.all(Array.from({ length: 150 }, () => balance(host)));

    const busy = all.filter(({ evaluation }) => evaluation.error?.code === 'BUSY');
    expect(busy).toHaveLength(50);
    expect(busy[0]?.output).toEqual({ instanceId: 'b' });
  });

  it('lists built-in policies and says what is wrong with a reference without running it', async () => {
    const host = open([]);

    expect(await host.list('default')).toContainEqual(
      expect.objectContaining({
        uri: 'spread:1.0.0-stable',
        hook: 'resourceAllocator',
        origin: 'built-in',
      }),
    );
    expect(
      await host.check('default', 'loadBalancer', policyReference.parse(uri('bin-pack'))),
    ).toMatchObject([
      { path: '$.policies.loadBalancer.policyRuleURI', seen: "hook 'resourceAllocator'" },
    ]);
    expect(
      await host.check('default', 'resourceAllocator', policyReference.parse(uri('bin-pac'))),
    ).toMatchObject([{ nearest: 'bin-pack:1.0.0-stable' }]);
    expect(await host.check('default', 'loadBalancer', policyReference.parse({}))).toEqual([]);
    expect(
      await host.check('default', 'loadBalancerMapper', policyReference.parse(uri('whatever'))),
    ).toEqual([]);
  });
});

describe('the digest of an input', () => {
  it('depends on the value alone, not on key order or on what was frozen before', () => {
    const long = Array.from({ length: 200 }, (_, at) => ({ at, text: `${at}` }));

    expect(digestOf({ a: 1, b: { c: 2, d: undefined } })).toBe(digestOf({ b: { c: 2 }, a: 1 }));
    expect(digestOf({ long })).toBe(digestOf({ long: structuredClone(long) }));
    expect(digestOf({ long })).not.toBe(digestOf({ long: long.slice(1) }));
    const changed = deepFreeze(long.map((each) => (each.at === 70 ? { ...each, at: -1 } : each)));
    deepFreeze(long);
    expect(digestOf({ long })).toBe(digestOf({ long: structuredClone(long) }));
    expect(digestOf({ long: changed })).toBe(digestOf({ long: structuredClone(changed) }));
    expect(digestOf({ long: changed })).not.toBe(digestOf({ long }));
    expect(digestOf(null)).not.toBe(digestOf('null'));
  });
});
