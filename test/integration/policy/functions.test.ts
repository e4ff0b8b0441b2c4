import { afterEach, describe, expect, it } from 'vitest';
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
    for (let at = 0; at < 10; at += 1) {
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

describe('a job', () => {
  it('keeps nothing and sees nothing of the one before', async () => {
    hosted = new Hosted();
    const uri = await hosted.publish('count', { execution: 'job' }, count);

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
});
