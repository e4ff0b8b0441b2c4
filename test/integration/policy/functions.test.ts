import { afterEach, describe, expect, it } from 'vitest';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import type { Json } from '../../../sdk/packet.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import { bundle, failure, Hosted, tenant } from './executing.ts';

let hosted: Hosted;
afterEach(() => hosted.host.close());

const count = bundle(
  'function',
  `const n = (context.state.n ?? 0) + 1; context.state = { n };
   globalThis.seen = (globalThis.seen ?? 0) + 1;
   return { output: { n, seen: globalThis.seen } };`,
  `management(action, data, context) {
     if (action === 'loop') for (;;);
     if (action === 'throw') throw new Error('cannot');
     if (action === 'cycle') { const all = {}; all.all = all; return all; }
     if (action === 'reset') context.state = {};
     return { kept: context.state };
   },`,
);

const manage = (uri: string, action: string, useSite = 'call') =>
  hosted.host.manage({
    ...{ tenant, hook: 'function', useSite },
    reference: { policyRuleURI: uri as never, parameters: {}, settings: {} },
    command: { action, data: {} },
  });

describe('a deployed function', () => {
  it('has one state for all who call it, one call after the other, across restarts', async () => {
    hosted = new Hosted();
    const uri = await hosted.publish('count', { execution: 'function' }, count);

    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, at) => hosted.call(uri, {}, { useSite: `site/${at}` })),
    );
    expect(answers.map(({ output }) => (output as { n: number }).n)).toEqual(
      Array.from({ length: 10 }, (_, at) => at + 1),
    );
    await hosted.restart();
    expect((await hosted.call(uri)).output).toMatchObject({ n: 11 });
  });

  it('stays ready whatever else runs', async () => {
    hosted = new Hosted();
    const uri = await hosted.publish('count', { execution: 'function' }, count);
    await hosted.call(uri);
    for (let at = 0; at < 20; at += 1) {
      await hosted.call(await hosted.publish(`other-${at}`, {}, `${count}// ${at}`));
    }
    // Its own globals are there still: it was not begun anew.
    expect((await hosted.call(uri)).output).toEqual({ n: 2, seen: 2 });
  });

  it('refuses what its document does not allow, on the way in and on the way out', async () => {
    hosted = new Hosted();
    const number = { type: 'object', properties: { by: { type: 'number' } }, required: ['by'] };
    const text = { type: 'object', properties: { n: { type: 'string' } } };
    const taking = await hosted.publish('taking', { inputSchema: number }, count);
    const giving = await hosted.publish('giving', { outputSchema: text }, count);

    expect(await failure(hosted.call(taking, { to: 1 }))).toMatchObject({
      code: 'REQUEST_INVALID',
      problems: [{ path: '$', message: expect.stringContaining('by') }],
    });
    expect(await failure(hosted.call(giving))).toMatchObject({
      code: 'POLICY_OUTPUT_INVALID',
      problems: [{ path: '$.n' }],
    });
  });

  it('is told things between its calls, and hostile commands are stopped like hostile calls', async () => {
    hosted = new Hosted();
    const uri = await hosted.publish('count', { execution: 'function' }, count);
    await hosted.call(uri);

    expect(await manage(uri, 'show')).toMatchObject({
      result: { kept: { n: 1 } },
      stateChanged: false,
    });
    expect(await manage(uri, 'reset')).toMatchObject({ result: { kept: {} }, stateChanged: true });
    expect((await hosted.call(uri)).output).toMatchObject({ n: 1 });
    expect(await failure(manage(uri, 'throw'))).toMatchObject({ code: 'POLICY_THREW' });
    expect(await failure(manage(uri, 'cycle'))).toMatchObject({ code: 'POLICY_THREW' });
    expect(await failure(manage(uri, 'loop'))).toMatchObject({ code: 'POLICY_TIMEOUT' });
    expect((await hosted.call(uri)).output).toMatchObject({ n: 2 });
  });
});

describe('a call that nobody waits for any more', () => {
  it('is ended, and the next one does not stand behind it', async () => {
    hosted = new Hosted();
    const source = bundle('function', 'if (input.input.forever) for (;;); return { output: 1 };');
    const execution = { type: 'local', timeLimitMs: 3_600_000 };
    const uri = await hosted.publish('endless', { execution }, source);
    const leaving = new AbortController();
    const first = hosted.call(uri, { forever: true }, { signal: leaving.signal });
    const waiting = hosted.call(uri, { forever: true }, { signal: leaving.signal, useSite: 'b' });
    const next = hosted.call(uri, {}, { useSite: 'c' });
    setTimeout(() => leaving.abort(), 300);

    expect(await failure(first)).toMatchObject({ code: 'CANCELLED' });
    expect(await failure(waiting)).toMatchObject({ code: 'CANCELLED' });
    expect((await next).output).toBe(1);
  });
});

describe('a job', () => {
  it('keeps nothing and sees nothing of the one before', async () => {
    hosted = new Hosted();
    const execution = { type: 'job', timeLimitMs: 60_000 };
    const uri = await hosted.publish('count', { execution }, count);

    const answers = await Promise.all(Array.from({ length: 6 }, () => hosted.call(uri)));
    expect(answers.map(({ output }) => output)).toEqual(Array(6).fill({ n: 1, seen: 1 }));
    expect(await failure(manage(uri, 'reset'))).toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('is what any function can be run as, for longer than its hook allows', async () => {
    hosted = new Hosted();
    const slow = bundle(
      'function',
      'let x = 0; for (let i = 0; i < 4e7; i += 1) x += i % 7; return { output: x > 0 };',
    );
    const uri = await hosted.publish('slow', {}, slow);
    const { output } = await hosted.call(uri, {}, { asJob: true, timeLimitMs: 60_000 });
    expect(output).toBe(true);
    expect(await failure(hosted.call(uri, {}, { asJob: true, timeLimitMs: 20 }))).toMatchObject({
      code: 'POLICY_TIMEOUT',
    });
  });

  it('ends when it is cancelled', async () => {
    hosted = new Hosted();
    const uri = await hosted.publish('endless', {}, bundle('function', 'for (;;);'));
    const controller = new AbortController();
    const running = hosted.call(
      uri,
      {},
      {
        ...{ asJob: true, timeLimitMs: 600_000 },
        signal: controller.signal,
      },
    );
    setTimeout(() => controller.abort(), 300);
    expect(await failure(running)).toMatchObject({ code: 'CANCELLED' });
  });

  it('that is one too many waits for as long as it may take, and a decision does not wait for it', async () => {
    hosted = new Hosted();
    const endless = await hosted.publish('endless', {}, bundle('function', 'for (;;);'));
    const controller = new AbortController();
    const { signal } = controller;
    const submit = (timeLimitMs: number, more: object = {}) =>
      failure(hosted.call(endless, {}, { asJob: true, timeLimitMs, ...more }));
    const four = Array.from({ length: 4 }, () => submit(600_000, { signal }));

    expect(await submit(50)).toMatchObject({ code: 'BUSY' });
    const waits = new AbortController();
    const fifth = submit(600_000, { signal: waits.signal });
    waits.abort();
    expect(await fifth).toMatchObject({ code: 'CANCELLED' });
    const choose = bundle('loadBalancer', `return { instanceId: 'a' };`);
    const balancer = await hosted.publish(
      'balancer',
      { hook: 'loadBalancer', execution: 'job' },
      choose,
    );
    expect((await hosted.balance(balancer)).output).toEqual({ instanceId: 'a' });
    controller.abort();
    for (const one of await Promise.all(four)) expect(one.code).toBe('CANCELLED');
  });

  it('takes no commands, however many run', async () => {
    hosted = new Hosted();
    const execution = { type: 'job', timeLimitMs: 600_000 };
    const uri = await hosted.publish('endless', { execution }, bundle('function', 'for (;;);'));
    const controller = new AbortController();
    const { signal } = controller;
    const four = Array.from({ length: 4 }, () => failure(hosted.call(uri, {}, { signal })));

    expect(await failure(manage(uri, 'reset'))).toMatchObject({ code: 'UNSUPPORTED' });
    controller.abort();
    for (const one of await Promise.all(four)) expect(one.code).toBe('CANCELLED');
  });
});

describe('a command to a policy of this process', () => {
  const policy = definePolicy({
    ...{ hook: 'function', name: 'told', version: '1.0.0', description: 'Remembers.' },
    evaluate: (_, { state }) => ({ output: (state.kept as Json | undefined) ?? null }),
    management(action, data, context) {
      if (action === 'throw') throw new Error('cannot');
      if (action === 'long') return 'x'.repeat(5e6);
      if (action === 'later') return Promise.resolve(1) as never;
      if (action === 'cycle') {
        const all: Record<string, unknown> = {};
        all.all = all;
        return all as never;
      }
      if (action === 'hoard') context.state = { kept: 'x'.repeat(1e5) };
      if (action === 'keep') context.state = { kept: data };
      return null;
    },
  });

  it('changes what it keeps, and nothing but a command or an evaluation does', async () => {
    hosted = new Hosted([], [policy]);
    const { uri } = policy;
    expect((await hosted.call(uri)).output).toBeNull();
    expect(await manage(uri, 'keep')).toMatchObject({ stateChanged: true });
    await hosted.restart();
    expect((await hosted.call(uri)).output).toEqual({});
    expect((await hosted.call(uri, {}, { useSite: 'elsewhere' })).output).toBeNull();
  });

  it.each([
    ['throw', 'POLICY_THREW'],
    ['long', 'POLICY_LIMIT_EXCEEDED'],
    ['later', 'POLICY_OUTPUT_INVALID'],
    ['cycle', 'POLICY_OUTPUT_INVALID'],
    ['hoard', 'POLICY_LIMIT_EXCEEDED'],
  ])('%s is stopped, and leaves what it keeps as it was', async (action, code) => {
    hosted = new Hosted([], [policy]);
    await manage(policy.uri, 'keep');
    expect(await failure(manage(policy.uri, action))).toMatchObject({ code });
    expect((await hosted.call(policy.uri)).output).toEqual({});
  });
});

describe('an answer that is nested without end', () => {
  const deep = (): Json => {
    let all: Json = [];
    for (let depth = 0; depth < 200_000; depth += 1) all = [all];
    return all;
  };
  const about = { version: '1.0.0', description: 'Goes deep.' };

  it("is the policy's fault, and its hook says what counts instead", async () => {
    const nested = definePolicy({
      ...{ hook: 'function', name: 'nested', ...about },
      evaluate: () => ({ output: deep() }),
    });
    const scaler = definePolicy({
      ...{ hook: 'autoscaler', name: 'nested-scaler', ...about },
      evaluate: () => ({ instances: deep() }) as never,
    });
    hosted = new Hosted([], [nested, scaler]);

    expect(await failure(hosted.call(nested.uri))).toMatchObject({ code: 'POLICY_LIMIT_EXCEEDED' });
    const { output, evaluation } = await hosted.host.evaluate({
      ...{ tenant, hook: 'autoscaler', action: 'evaluate', useSite: 'block/b' },
      reference: { policyRuleURI: scaler.uri as never, parameters: {}, settings: {} },
      input: exampleInputs.autoscaler.evaluate,
      inventoryRevision: 0,
    });
    expect(output).toEqual({ hold: true });
    expect(evaluation.error).toMatchObject({ code: expect.stringContaining('POLICY_') });
  });
});
