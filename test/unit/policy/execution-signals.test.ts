import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createExecutors } from '../../../runtime/policy/execution/executors.ts';
import { type CallFunction, createGraphRunner } from '../../../runtime/policy/execution/graph.ts';
import { createRemoteRunner } from '../../../runtime/policy/execution/remote.ts';
import type { PolicyRunner, RunRequest } from '../../../runtime/policy/runner.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { waitersOf } from '../../support/signal.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.closeAllConnections();
});

const uri = 'far:1.0.0-stable';
const request: RunRequest = {
  ...{ hook: 'function', input: { action: 'call', input: 1 }, parameters: {}, settings: {} },
  ...{ state: {}, nowMs: 0, seed: 1, timeLimitMs: 30_000 },
};

/** @param answers - false: it never does */
async function remote(answers: boolean): Promise<PolicyRunner> {
  const server = createServer((_, response) => {
    if (answers) response.end(JSON.stringify({ success: true, data: { output: 1 } }));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const { port } = server.address() as AddressInfo;
  const executor = createExecutors([{ id: 'python', url: `http://127.0.0.1:${port}` }]).get(
    'python',
  );
  return createRemoteRunner(uri, { type: 'remote', executor: 'python', actions: [] }, executor);
}

function graph(call: CallFunction): PolicyRunner {
  const node = (label: string) => ({ label, policyRuleURI: uri, parameters: {}, settings: {} });
  const nodes = [node('a'), node('b')] as never;
  return createGraphRunner(
    uri,
    { type: 'graph', actions: [], nodes, edges: [{ from: 'a', to: 'b' }] },
    call,
  );
}

const answering: CallFunction = async () => ({ output: 1, state: {}, logs: [] });
const codeOf = (run: Promise<unknown>) =>
  run.then(
    () => 'none',
    (e) => AiosError.from(e).code,
  );

test('many calls with one signal leave nothing with it', async () => {
  const { signal } = new AbortController();
  const runners = [
    await remote(true),
    graph(answering),
    graph(() => Promise.reject(new Error('no'))),
  ];
  for (const [at, runner] of runners.entries()) {
    for (let call = 0; call < 10; call += 1) {
      expect(await codeOf(runner.run({ ...request, signal }))).toBe(at === 2 ? 'INTERNAL' : 'none');
    }
  }
  expect(await codeOf((await remote(false)).run({ ...request, signal, timeLimitMs: 20 }))).toBe(
    'POLICY_TIMEOUT',
  );

  expect(waitersOf(signal)).toBe(0);
});

test('a call is cancelled by it all the same', async () => {
  const silent = await remote(false);
  for (const runner of [silent, graph(() => new Promise(() => undefined))]) {
    const caller = new AbortController();
    const run = runner.run({ ...request, signal: caller.signal });
    await expect.poll(() => waitersOf(caller.signal)).toBeGreaterThan(0);
    caller.abort();

    expect(await codeOf(run)).toBe('CANCELLED');
    expect(waitersOf(caller.signal)).toBe(0);
  }
});
