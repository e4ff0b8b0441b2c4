import { afterEach, describe, expect, it } from 'vitest';
import { AiosError } from '../../../sdk/errors.ts';
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
  const execution = { type: 'remote', executor: 'python' };
  const uri = await hosted.publish('far', { execution, hook: 'loadBalancer', ...document });
  return { executor, hosted, uri, endpoint };
}

const first = ({ body }: Asked) => ({
  success: true,
  data: { instanceId: (body.input_data as { instances: { id: string }[] }).instances[0]?.id },
});

describe('a remote policy', () => {
  it('is asked in the words of AIOS, and answers', async () => {
    const { executor, hosted, uri } = await open(first, { token: 'secret-token' });

    const { output, evaluation } = await hosted.balance(uri);
    expect(output).toEqual({ instanceId: 'a' });
    expect(evaluation.policyHash).toMatch(/^sha256:/);
    expect(executor.asked).toMatchObject([
      {
        path: '/execute_policy',
        headers: { authorization: 'Bearer secret-token' },
        body: {
          policy_rule_uri: uri,
          input_data: { action: 'load_balance', blockId: 'b' },
          ...{ parameters: {}, settings: {}, state: {} },
          context: { hook: 'loadBalancer', time_limit_ms: 50 },
        },
      },
    ]);
  });

  it('keeps what it gives back as state, here, across restarts', async () => {
    const { executor, hosted, uri } = await open(({ body }) => {
      const { turns = 0 } = body.state as { turns?: number };
      return {
        ...{ success: true, data: { instanceId: 'b' }, logs: ['one more'] },
        state: { turns: turns + 1 },
      };
    });

    expect((await hosted.balance(uri)).evaluation.logs).toEqual(['one more']);
    await hosted.balance(uri);
    await hosted.restart();
    await hosted.balance(uri);
    expect(executor.asked.map(({ body }) => body.state)).toEqual([{}, { turns: 1 }, { turns: 2 }]);
  });

  it('takes commands', async () => {
    const { executor, hosted, uri } = await open(({ path, body }) => ({
      success: true,
      data: { path, told: body.mgmt_action ?? null },
      state: { reset: true },
    }));

    const managed = await hosted.host.manage({
      ...{ tenant, hook: 'loadBalancer', useSite: 'block/b' },
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
      'names no instance',
      () => ({ success: true, data: { to: 'a' } }),
      'POLICY_OUTPUT_INVALID',
      /instanceId/,
    ],
    [
      'keeps too much',
      () => ({ success: true, data: {}, state: { x: 'x'.repeat(1e5) } }),
      'POLICY_LIMIT_EXCEEDED',
      /state/,
    ],
  ];
  it.each(pages)(
    'that %s is recorded as such, and the default of the hook counts',
    async (_, page, code, said) => {
      const { hosted, uri } = await open(page as never);

      const { output, evaluation } = await hosted.balance(uri);
      expect(output).toEqual({ instanceId: 'b' });
      expect(evaluation.error).toMatchObject({ code, message: expect.stringMatching(said) });
    },
  );

  type Raw = import('node:http').ServerResponse;
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
    ['says nothing', () => undefined, 'POLICY_TIMEOUT', /within 50 ms/],
    ['hangs up', (r) => void r.destroy(), 'POLICY_UNREACHABLE', /could not be asked/],
  ];
  it.each(raw)('whose executor %s', async (_, send, code, said) => {
    const { hosted, uri } = await open((_asked, response) => send(response), {
      token: 'secret-token',
    });

    const { output, evaluation } = await hosted.balance(uri);
    expect(output).toEqual({ instanceId: 'b' });
    expect(evaluation.error).toMatchObject({ code, message: expect.stringMatching(said) });
    expect(JSON.stringify(evaluation)).not.toContain('secret-token');
  });

  it('whose executor answers without end is read to a bound', async () => {
    let sent = 0;
    const { hosted, uri } = await open(
      (_asked, response) => {
        const piece = 'x'.repeat(2 ** 20);
        const pour = (): void => {
          while (sent < 1000 && !response.destroyed && response.write(piece)) sent += 1;
          if (!response.destroyed) response.once('drain', pour);
        };
        pour();
      },
      { hook: 'function', execution: { type: 'remote', executor: 'python', timeLimitMs: 20_000 } },
    );

    expect(await failure(hosted.call(uri))).toMatchObject({ code: 'POLICY_LIMIT_EXCEEDED' });
    expect(sent).toBeLessThan(100);
  });

  it('whose executor failed five times in a row is left alone for a moment', async () => {
    const { executor, hosted, uri } = await open((_asked, response) => void response.destroy());
    for (let turn = 0; turn < 8; turn += 1) await hosted.balance(uri);

    expect(executor.asked).toHaveLength(5);
    const { evaluation } = await hosted.balance(uri);
    expect(evaluation.error?.message).toMatch(/5 times in a row/);
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
