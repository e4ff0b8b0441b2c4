import { connect } from 'node:net';
import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startTestGateway, until } from './fakes.ts';

let system: Awaited<ReturnType<typeof startTestGateway>>;
let client: OpenAI;

beforeEach(async () => {
  system = await startTestGateway();
  client = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterEach(() => system.gateway.close());

const messages = [{ role: 'user' as const, content: 'Say hello.' }];

describe('a client that goes away', () => {
  test.each([true, false])('ends the answer (stream: %s)', async (stream) => {
    system.driver.hangAt = 2;
    const controller = new AbortController();
    const asked = fetch(`${system.url}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'parrot', messages, stream }),
      signal: controller.signal,
    });
    if (stream) await asked;
    else await until(() => system.driver.requests.length === 1);

    controller.abort();
    await asked.catch(() => {});
    await until(() => system.driver.ended === 1);

    expect(system.driver.requests[0]?.signal.aborted).toBe(true);
  });

  test('may send several at once and go away: none of them runs on', async () => {
    system.driver.hangAt = 1;
    const body = JSON.stringify({ model: 'parrot', messages });
    const { port } = new URL(system.url);
    const socket = connect(Number(port), '127.0.0.1');
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${body.length}`;
    socket.write(`${head}\r\n\r\n${body}`.repeat(3));
    await until(() => system.driver.requests.length === 3);

    socket.destroy();
    await until(() => system.driver.ended === 3);
  });

  test('is waited for while it reads nothing, and what it did not read is not kept for it', async () => {
    const tokens = 200_000;
    system.driver.answer = 'x'.repeat(tokens);
    const response = await fetch(`${system.url}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'parrot', messages, stream: true }),
    });

    let before = -1;
    while (before !== system.driver.produced) {
      before = system.driver.produced;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(system.driver.produced).toBeLessThan(tokens / 2);

    await response.body?.cancel();
    await until(() => system.driver.ended === 1);
  });

  test('may break off reading and leave nothing behind', async () => {
    system.driver.answer = 'x'.repeat(100_000);
    const stream = await client.chat.completions.create({
      model: 'parrot',
      messages,
      stream: true,
    });
    for await (const _chunk of stream) break;

    await until(() => system.driver.ended === 1);
  });
});
