import type { ServerResponse as Raw } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { AiosError } from '../../../sdk/errors.ts';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import type { Json } from '../../../sdk/packet.ts';
import { type Asked, failure, Hosted, HttpExecutor, tenant } from './executing.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function open(
  answer: ConstructorParameters<typeof HttpExecutor>[0],
  { token, ...document }: Record<string, unknown> = {},
) {
  const executor = new HttpExecutor(answer);
  const endpoint = await executor.start();
  cleanups.push(() => executor.stop());
  const hosted = new Hosted([{ ...endpoint, ...(token ? { token: String(token) } : {}) }]);
  cleanups.push(() => hosted.host.close());
  // Longer than any of this takes: only one test is about time.
  const execution = { type: 'remote', executor: 'python', timeLimitMs: 30_000 };
  const uri = await hosted.publish('far', { execution, ...document });
  return { executor, hosted, uri, endpoint };
}

const first = ({ body }: Asked) => ({
  success: true,
  data: { output: { got: (body.input_data as { input: Json }).input } },
});

describe('a remote policy', () => {
  it('is asked in the words of AIOS, and answers', async () => {
    const { executor, hosted, uri } = await open(first, { token: 'secret-token' });

    const { output, evaluation } = await hosted.call(uri, [1]);
    expect(output).toEqual({ got: [1] });
    expect(evaluation.policyHash).toMatch(/^sha256:/);
    expect(executor.asked).toMatchObject([
      {
        path: '/execute_policy',
        headers: { authorization: 'Bearer secret-token' },
        body: {
          policy_rule_uri: uri,
          input_data: { action: 'call', input: [1] },
          ...{ parameters: {}, settings: {}, state: {} },
          context: { hook: 'function', time_limit_ms: 30_000 },
        },
      },
    ]);
  });

  it('does not hand the token on, not in what it answers either', async () => {
    const { hosted, uri } = await open(
      ({ headers }) => ({
        success: true,
        data: { output: { ...headers } },
        state: { headers } as never,
      }),
      { token: 'secret-token' },
    );
    const { output, evaluation } = await hosted.call(uri);
    expect(JSON.stringify(output)).toContain('Bearer …');
    expect(JSON.stringify([output, evaluation])).not.toContain('secret-token');
  });

  it('keeps what it gives back as state, here, across restarts', async () => {
    const { executor, hosted, uri } = await open(({ body }) => {
      const { turns = 0 } = body.state as { turns?: number };
      return {
        ...{ success: true, data: { output: 1 }, logs: ['one more'] },
        state: { turns: turns + 1 },
      };
    });

    expect((await hosted.call(uri)).evaluation.logs).toEqual(['one more']);
    await hosted.call(uri);
    await hosted.restart();
    await hosted.call(uri);
    expect(executor.asked.map(({ body }) => body.state)).toEqual([{}, { turns: 1 }, { turns: 2 }]);
  });

  it('is not asked what it leaves to the platform', async () => {
    const plan = { score: 1, assignments: [{ nodeId: 'node-1' }] };
    const actionOf = ({ body }: Asked) => (body.input_data as { action: string }).action;
    const { executor, hosted } = await open((asked) => ({
      success: true,
      data: actionOf(asked) === 'dry_run' ? plan : { data: 'of its own' },
    }));
    const ask = async (policyRuleURI: string) => {
      const { output } = await hosted.host.evaluate({
        ...{ tenant, hook: 'resourceAllocator' as const, useSite: 'x', inventoryRevision: 0 },
        action: 'third_party_allocate' as const,
        reference: { policyRuleURI: policyRuleURI as never, parameters: {}, settings: {} },
        input: structuredClone(exampleInputs.resourceAllocator.third_party_allocate),
      });
      return [output, executor.asked.splice(0).map(actionOf)];
    };
    const remote = { type: 'remote', executor: 'python' };
    const uri = await hosted.publish('plain', { execution: remote, hook: 'resourceAllocator' });
    expect(await ask(uri)).toMatchObject([
      { data: { assignments: [{ nodeId: 'node-1' }] } },
      ['dry_run'],
    ]);
    const execution = { ...remote, actions: ['third_party_allocate'] };
    const own = await hosted.publish('own', { execution, hook: 'resourceAllocator' });
    expect(await ask(own)).toEqual([{ data: 'of its own' }, ['third_party_allocate']]);
    const wrong = { ...execution, actions: ['estimat'] };
    await expect(
      hosted.publish('no', { execution: wrong, hook: 'loadBalancer' }),
    ).rejects.toMatchObject({
      problems: [{ path: '$.execution.actions[0]' }],
    });
  });

  it('takes commands', async () => {
    const { executor, hosted, uri } = await open(({ path, body }) => ({
      success: true,
      data: { path, told: body.mgmt_action ?? null },
      state: { reset: true },
    }));

    const managed = await hosted.host.manage({
      ...{ tenant, hook: 'function', useSite: 'call' },
      reference: { policyRuleURI: uri as never, parameters: {}, settings: {} },
      command: { action: 'reset', data: { hard: true } },
    });
    expect(managed).toMatchObject({
      result: { path: '/management', told: 'reset' },
      stateChanged: true,
    });
    expect(executor.asked[0]?.body).toMatchObject({ mgmt_data: { hard: true } });
  });

  const pages: [string, (asked: Asked, response: never) => unknown, string, RegExp][] = [
    [
      'says that it failed',
      () => ({ success: false, message: 'no luck.' }),
      'POLICY_THREW',
      /no luck/,
    ],
    ['answers in another form', () => ({ answer: 1 }), 'POLICY_OUTPUT_INVALID', /"success": true/],
    [
      'says so in an object without a text',
      () => ({ success: false, message: { toString: 1, valueOf: 1 } }),
      'POLICY_THREW',
      /"toString":1/,
    ],
    [
      'answers another question',
      () => ({ success: true, data: { to: 'a' } }),
      'POLICY_OUTPUT_INVALID',
      /output/,
    ],
    [
      'keeps too much',
      () => ({ success: true, data: {}, state: { x: 'x'.repeat(1e5) } }),
      'POLICY_LIMIT_EXCEEDED',
      /state/,
    ],
  ];
  it.each(pages)('that %s fails as such', async (_, page, code, said) => {
    const { hosted, uri } = await open(page as never);

    const fault = await failure(hosted.call(uri));
    expect(fault).toMatchObject({ code, message: expect.stringMatching(said) });
  });

  const raw: [string, (response: Raw) => void, string, RegExp][] = [
    ['answers no JSON', (r) => void r.end('<html>'), 'POLICY_OUTPUT_INVALID', /no JSON/],
    [
      'answers HTTP 500',
      (r) => void r.writeHead(500).end('broken inside'),
      'POLICY_UNREACHABLE',
      /500: broken inside/,
    ],
    [
      'answers a redirect',
      (r) => void r.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      'POLICY_UNREACHABLE',
      /could not be asked/,
    ],
    ['hangs up', (r) => void r.destroy(), 'POLICY_UNREACHABLE', /could not be asked/],
    [
      'answers nested lists without end',
      (r) =>
        void r.end(
          `{"success":true,"data":{"output":${'['.repeat(500_000)}${']'.repeat(500_000)}}}`,
        ),
      'POLICY_LIMIT_EXCEEDED',
      /nested too deeply/,
    ],
    [
      'answers a small text that is a long one packed',
      (r) => {
        r.setHeader('content-encoding', 'gzip');
        r.end(gzipSync(Buffer.alloc(64 * 2 ** 20, '1')));
      },
      'POLICY_LIMIT_EXCEEDED',
      /answered more than/,
    ],
  ];
  it.each(raw)('whose executor %s', async (_, send, code, said) => {
    const { hosted, uri } = await open((_asked, response) => send(response), {
      token: 'secret-token',
    });

    const fault = await failure(hosted.call(uri));
    expect(fault).toMatchObject({ code, message: expect.stringMatching(said) });
    expect(JSON.stringify(fault.details)).not.toContain('secret-token');
  });

  it('may say that it keeps and logs nothing, and logs what is no text', async () => {
    const answers = [
      { success: true, data: { output: 1 }, state: null, logs: null },
      { success: true, data: { output: 2 }, logs: [{ toString: 1 }, 7, 'text'] },
    ];
    const { hosted, uri } = await open(() => answers.shift());

    expect((await hosted.call(uri)).evaluation.logs).toEqual([]);
    expect((await hosted.call(uri)).evaluation.logs).toEqual(['{"toString":1}', '7', 'text']);
  });

  it('whose executor sends back what it was sent does not give the token away', async () => {
    const pages = [
      ({ headers }: Asked) => ({ success: false, message: headers.authorization }),
      ({ headers }: Asked) => ({ success: true, data: {}, logs: [headers.authorization] }),
      ({ headers }: Asked, response: Raw) =>
        // Cut after 200 characters: in the middle of the token.
        void response.writeHead(500).end(`${'x'.repeat(185)}${headers.authorization}`),
    ];
    for (const page of pages) {
      const { hosted, uri } = await open(page as never, { token: 'secret-token' });
      const fault = await failure(hosted.call(uri));
      const told = [fault.message, JSON.stringify(fault.details), JSON.stringify(fault.problems)];
      expect(told.join()).not.toContain('secret');
      expect(told.join()).toContain('Bearer …');
    }
  });

  it('whose executor is not there is unreachable', async () => {
    const { executor, hosted, uri } = await open(first);
    await executor.stop();

    expect(await failure(hosted.call(uri))).toMatchObject({
      code: 'POLICY_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('whose executor stops in the middle of its answer is too late', async () => {
    const execution = { type: 'remote', executor: 'python', timeLimitMs: 200 };
    const stops = (_: Asked, response: Raw) => void response.writeHead(200).write('{"success":');
    const { hosted, uri } = await open(stops, { execution });

    expect(await failure(hosted.call(uri))).toMatchObject({ code: 'POLICY_TIMEOUT' });
  });

  it('that many wait for says so, and a decision does not wait behind them', async () => {
    const answers: (() => void)[] = [];
    const { executor, hosted, uri } = await open((_, response) => {
      answers.push(() => response.end(JSON.stringify({ success: true, data: { output: 1 } })));
    });
    const calls = Array.from({ length: 232 }, (_, at) =>
      hosted.call(uri, at, { useSite: `site/${at}` }).then(
        () => 'answered',
        ({ code }: AiosError) => code,
      ),
    );
    await vi.waitFor(() => expect(answers).toHaveLength(32), { timeout: 10_000 });

    expect(await failure(hosted.call(uri))).toMatchObject({
      code: 'BUSY',
      message: expect.stringContaining('200 calls waiting'),
    });
    const execution = { type: 'remote', executor: 'python' };
    const balancer = await hosted.publish('balancer', { execution, hook: 'loadBalancer' });
    // The 32 are answered one by one: whoever waits comes to it in turn.
    while (answers.length < 40) {
      const before = answers.length;
      answers[before - 32]?.();
      await vi.waitFor(() => expect(answers.length).toBeGreaterThan(before), { timeout: 10_000 });
    }
    const { output, evaluation } = await hosted.balance(balancer);
    expect(output).toEqual({ instanceId: 'b' });
    expect(evaluation.error).toMatchObject({ code: 'BUSY' });
    expect(executor.asked.every(({ body }) => body.policy_rule_uri === uri)).toBe(true);
    await executor.stop();
    expect((await Promise.all(calls)).filter((one) => one === 'answered')).toHaveLength(8);
  });

  it('whose executor says nothing is not waited for longer than its hook allows, and the default of the hook counts', async () => {
    const { hosted } = await open(() => undefined);
    const execution = { type: 'remote', executor: 'python' };
    const uri = await hosted.publish('silent', { execution, hook: 'loadBalancer' });

    const { output, evaluation } = await hosted.balance(uri);
    expect(output).toEqual({ instanceId: 'b' });
    expect(evaluation.error).toMatchObject({
      code: 'POLICY_TIMEOUT',
      message: expect.stringContaining('within 50 ms'),
    });
  });

  it('is not asked on behalf of those who stood in line for longer than a decision may take', async () => {
    const { executor, hosted } = await open(async () => {
      await new Promise((resolve) => setTimeout(resolve, 40));
      return { success: true, data: { instanceId: 'a' } };
    });
    const execution = { type: 'remote', executor: 'python' };
    const uri = await hosted.publish('slow', { execution, hook: 'loadBalancer' });

    const answers = await Promise.all(Array.from({ length: 30 }, () => hosted.balance(uri)));
    expect(executor.asked.length).toBeLessThan(10);
    // All have an instance: the policy's, or the hook's default.
    expect(answers.every(({ output }) => ['a', 'b'].includes(output.instanceId))).toBe(true);
    expect(answers.at(-1)?.evaluation.error?.message).toMatch(/went by in line/);
  });

  it('whose executor answers without end is read to a bound', async () => {
    let sent = 0;
    const { hosted, uri } = await open((_asked, response) => {
      const piece = 'x'.repeat(2 ** 20);
      const pour = (): void => {
        while (sent < 1000 && !response.destroyed && response.write(piece)) sent += 1;
        if (!response.destroyed) response.once('drain', pour);
      };
      pour();
    });

    expect(await failure(hosted.call(uri))).toMatchObject({ code: 'POLICY_LIMIT_EXCEEDED' });
    expect(sent).toBeLessThan(100);
  });

  it('whose executor failed five times in a row is left alone for a moment', async () => {
    const { executor, hosted, uri } = await open((_asked, response) => void response.destroy());
    for (let turn = 0; turn < 8; turn += 1) await failure(hosted.call(uri));

    expect(executor.asked).toHaveLength(5);
    expect((await failure(hosted.call(uri))).message).toMatch(/5 times in a row/);
  });

  it('of an executor nobody named is refused with the nearest', async () => {
    const { hosted } = await open(first);
    expect(hosted.host.checkExecutor('pyton', '$.execution.executor')).toMatchObject([
      { path: '$.execution.executor', nearest: 'python', expected: 'one of: python' },
    ]);
    const execution = { type: 'remote', executor: 'pyton' };
    const uri = await hosted.publish('lost', { execution });
    expect(await failure(hosted.call(uri))).toMatchObject({
      code: 'POLICY_UNREACHABLE',
      message: expect.stringContaining('--policy-executor pyton=URL'),
    });
  });
});

it.each([
  ['not a URL', 'nonsense'],
  ['a file', 'file:///etc/passwd'],
  ['one with credentials', 'http://user:pass@127.0.0.1/'],
])('an executor at %s is refused when the system starts', (_, url) => {
  expect(() => new Hosted([{ id: 'x', url }])).toThrow(AiosError);
});
