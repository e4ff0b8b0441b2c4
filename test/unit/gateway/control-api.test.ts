import { request } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { startGateway } from '../../../runtime/gateway/index.ts';
import { connect } from '../../../sdk/client/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { echoRunner, FakeDriver, fakeControlPlane, startTestGateway, until } from './fakes.ts';

const started: { close(): Promise<void> }[] = [];
const start = async (options: Parameters<typeof startTestGateway>[0] = {}) => {
  const system = await startTestGateway(options);
  started.push(system.gateway);
  return system;
};
afterEach(async () => {
  await Promise.all(started.splice(0).map((gateway) => gateway.close()));
});

/** `fetch` sets Host itself; this sends what a rebound name would. */
function status(url: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('who may call', () => {
  test('without keys: only names of this machine, and no page of another site', async () => {
    const { url } = await start();
    const api = `${url}/api/blocks`;
    const port = new URL(url).port;

    expect(await status(api, {})).toBe(200);
    expect(await status(api, { host: `localhost:${port}` })).toBe(200);
    expect(await status(api, { host: `[::1]:${port}` })).toBe(200);
    expect(await status(api, { origin: 'http://localhost:3000' })).toBe(200);

    expect(await status(api, { host: `evil.example:${port}` })).toBe(403);
    expect(await status(api, { host: `127.0.0.1.evil.example:${port}` })).toBe(403);
    expect(await status(api, { origin: 'https://evil.example' })).toBe(403);
    expect(await status(api, { origin: 'null' })).toBe(403);
    expect(await status(api, { 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await status(`${url}/v1/models`, { host: 'evil.example' })).toBe(403);
  });

  test('with keys: whoever shows one, and anyone may ask whether it lives', async () => {
    const { url } = await start({ apiKeys: ['first-key', 'second-key'] });
    const api = `${url}/api/blocks`;
    const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

    expect(await status(api, bearer('first-key'))).toBe(200);
    expect(await status(api, { ...bearer('second-key'), host: 'models.example' })).toBe(200);
    expect(await status(api, {})).toBe(401);
    expect(await status(api, bearer('first-ke'))).toBe(401);
    expect(await status(`${url}/v1/models`, bearer('wrong'))).toBe(401);
    expect(await status(`${url}/healthz`, {})).toBe(200);
  });

  test('refuses to listen beyond this machine without a key', async () => {
    const options = {
      controlPlane: fakeControlPlane(),
      driver: new FakeDriver(),
      runner: echoRunner,
    };

    await expect(startGateway({ ...options, host: '0.0.0.0' })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
    await expect(startGateway({ ...options, apiKeys: [' '] })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });

  test('says so when the port is taken', async () => {
    const { url } = await start();

    await expect(start({ port: Number(new URL(url).port) })).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
    });
  });
});

describe('errors', () => {
  test('are problem details with our code', async () => {
    const { url } = await start();
    const response = await fetch(`${url}/api/blocks/ocr`);

    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(await response.json()).toEqual({
      type: 'docs/errors.md#not_found',
      title: 'Not found',
      status: 404,
      detail: "block 'ocr' does not exist.",
      code: 'NOT_FOUND',
      retryable: false,
    });
  });

  test.each([
    ['no body', '', 400, 'REQUEST_INVALID'],
    ['not JSON', '{"id": ', 400, 'REQUEST_INVALID'],
    ['too deep', `${'['.repeat(100)}${']'.repeat(100)}`, 400, 'REQUEST_INVALID'],
    ['too long', JSON.stringify('x'.repeat(17 * 2 ** 20)), 413, 'REQUEST_TOO_LARGE'],
  ])('refuse a body that is %s', async (_name, body, expected, code) => {
    const { url } = await start();
    const response = await fetch(`${url}/api/blocks`, { method: 'POST', body });

    expect(response.status).toBe(expected);
    expect(await response.json()).toMatchObject({ code });
  });

  test('refuse a long body that does not say how long it is', async () => {
    const { url } = await start();
    const chunk = new TextEncoder().encode(' '.repeat(2 ** 20));
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent++ < 20) controller.enqueue(chunk);
        else controller.close();
      },
    });
    const response = await fetch(`${url}/api/blocks`, {
      method: 'POST',
      body,
      duplex: 'half',
    } as RequestInit);

    expect(response.status).toBe(413);
  });

  test('leave brackets inside texts alone', async () => {
    const { url } = await start();
    const body = JSON.stringify({ text: `${'['.repeat(200)}"\\` });

    expect((await fetch(`${url}/api/blocks`, { method: 'POST', body })).status).toBe(201);
  });

  test('refuse a wait that is none', async () => {
    const { url } = await start();
    const response = await fetch(`${url}/api/infer/block/echo`, {
      method: 'POST',
      headers: { 'aios-timeout-ms': 'soon' },
      body: '{"data": 1}',
    });

    expect(await response.json()).toMatchObject({ code: 'REQUEST_INVALID' });
  });
});

describe('limits', () => {
  test('one request more than allowed is told to come again, and fits later', async () => {
    const { url, driver } = await start({ maxConcurrentRequests: 1 });
    driver.hangAt = 0;
    const controller = new AbortController();
    const held = fetch(`${url}/v1/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'parrot', prompt: 'x' }),
      signal: controller.signal,
    }).catch(() => {});
    await until(() => driver.requests.length === 1);

    const refused = await fetch(`${url}/api/blocks`);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('1');

    controller.abort();
    await held;
    await until(() => driver.ended === 1);
    expect((await fetch(`${url}/api/blocks`)).status).toBe(200);
  });

  test('closing ends what still runs with a typed error', async () => {
    const { url, driver, gateway } = await start();
    driver.hangAt = 0;
    const asked = fetch(`${url}/v1/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'parrot', prompt: 'x' }),
    });
    await until(() => driver.requests.length === 1);

    const [response] = await Promise.all([asked, gateway.close()]);

    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: 'CLOSED' } });
  });
});

describe('with our own client', () => {
  test('creates, lists and deletes', async () => {
    const aios = connect((await start()).url);

    expect(await aios.create('block', { id: 'x' })).toMatchObject({ kind: 'block', id: 'x' });
    expect(await aios.list('cluster')).toEqual(['cluster']);
    expect(await aios.delete('block', 'x')).toBeUndefined();
    expect(await aios.explain('x')).toEqual([]);
    await expect(aios.get('vdag', 'a:1-b')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('reads logs line by line', async () => {
    const aios = connect((await start()).url);
    const lines = [];
    for await (const line of aios.logs({ blockId: 'x' })) lines.push(line);

    expect(lines).toEqual(['first line', 'second: line']);
  });

  test('watches until it has seen enough', async () => {
    let listener: ((change: { kind: string; id: string; type: 'put' }) => void) | undefined;
    let stopped = false;
    const controlPlane = fakeControlPlane({
      watch(_tenant, changed) {
        listener = changed;
        return () => {
          stopped = true;
        };
      },
    });
    const aios = connect((await start({ controlPlane })).url);
    const changes = aios.watch()[Symbol.asyncIterator]();
    const first = changes.next();
    await until(() => listener !== undefined);
    listener?.({ kind: 'block', id: 'x', type: 'put' });

    expect(await first).toMatchObject({ value: { kind: 'block', id: 'x', type: 'put' } });

    await changes.return?.();
    await until(() => stopped);
  });

  test('streams partial results, then the answer', async () => {
    const aios = connect((await start()).url);
    const events = [];
    for await (const event of aios.infer({ kind: 'block', id: 'echo', data: { a: 1 } })) {
      events.push(event);
    }

    expect(events).toEqual([
      { final: false, data: 'thinking' },
      { final: true, data: { a: 1 } },
    ]);
  });

  test('is thrown what a block threw, before and after partial results', async () => {
    const aios = connect((await start()).url);
    const ask = async (id: string) => {
      for await (const _event of aios.infer({ kind: 'block', id, data: 1 }));
    };

    await expect(ask('missing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(ask('breaks')).rejects.toMatchObject({ code: 'BLOCK_FAILED' });
  });

  test('uploads, links and finds artifacts by hash', async () => {
    const aios = connect((await start()).url);
    const hash = `sha256:${'0'.repeat(63)}a`;

    expect(await aios.hasArtifact(hash)).toBe(true);
    expect(await aios.hasArtifact(`sha256:${'0'.repeat(64)}`)).toBe(false);
    expect(await aios.uploadArtifact(hash, new Uint8Array(100_000))).toEqual({
      hash,
      sizeBytes: 100_000,
    });
    expect(await aios.openLink(1)).toEqual({ ticket: 't1', path: 'somewhere' });
    expect(await aios.commitLink('t1', hash)).toEqual({ hash, sizeBytes: 1 });
    await expect(aios.uploadArtifact('sha256:short', new Uint8Array())).rejects.toMatchObject({
      code: 'URI_MALFORMED',
    });
  });

  test('chats', async () => {
    const aios = connect((await start()).url);
    let text = '';
    for await (const event of aios.chat({
      model: 'parrot',
      messages: [{ role: 'user', content: 'hi' }],
    })) {
      if (event.type === 'text') text += event.text;
      if (event.type === 'end')
        expect(event).toMatchObject({ finishReason: 'stop', promptTokens: 3, hops: [{}] });
    }

    expect(text).toBe('Hello!');
  });

  test('reads a refusal as the error it was', async () => {
    const controlPlane = fakeControlPlane({
      async delete() {
        throw new AiosError('IN_USE', "block 'x' is used.", { details: { by: ['v:1-a'] } });
      },
    });
    const aios = connect((await start({ controlPlane })).url);

    await expect(aios.delete('block', 'x')).rejects.toMatchObject({
      code: 'IN_USE',
      details: { by: ['v:1-a'] },
    });
  });
});
