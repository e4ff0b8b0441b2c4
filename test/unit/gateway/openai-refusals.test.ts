import OpenAI, { APIError } from 'openai';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AiosError } from '../../../sdk/errors.ts';
import { startTestGateway } from './fakes.ts';

let system: Awaited<ReturnType<typeof startTestGateway>>;
let client: OpenAI;

beforeEach(async () => {
  system = await startTestGateway();
  client = new OpenAI({ baseURL: `${system.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterEach(() => system.gateway.close());

const messages = [{ role: 'user' as const, content: 'Say hello.' }];
const failure = (work: Promise<unknown>): Promise<APIError> =>
  work.then(
    () => Promise.reject(new Error('expected a refusal')),
    (error) => {
      expect(error).toBeInstanceOf(APIError);
      return error as APIError;
    },
  );

describe('refusals', () => {
  test('name every problem of a body at once', async () => {
    const error = await failure(
      client.chat.completions.create({
        model: 'parrot',
        messages: [{ role: 'robot' as 'user', content: 'hi' }],
        temperature: 9,
        n: 3,
        tools: [{ type: 'function', function: { name: 'f' } }],
        top_logprobs: 50,
      }),
    );

    expect(error).toMatchObject({
      status: 400,
      code: 'REQUEST_INVALID',
      type: 'invalid_request_error',
    });
    const { problems } = error.error as { problems: { path: string }[] };
    expect(problems.map(({ path }) => path).sort()).toEqual([
      '$.messages[0].role',
      '$.n',
      '$.temperature',
      '$.tools',
      '$.top_logprobs',
    ]);
  });

  test.each([
    ['chat/completions', { messages: Array.from({ length: 500_000 }, () => ({})) }],
    ['chat/completions', { messages, stop: Array.from({ length: 500_000 }, () => '') }],
    ['completions', { prompt: Array.from({ length: 500_000 }, () => -1) }],
  ])('answer a body of %s that is wrong half a million times at once', async (path, wrong) => {
    const response = await fetch(`${system.url}/v1/${path}`, {
      method: 'POST',
      body: JSON.stringify({ model: 'parrot', ...wrong }),
    });

    expect([400, 413]).toContain(response.status);
    expect((await response.text()).length).toBeLessThan(1000);
  });

  test('accept values of unsupported fields that change nothing', async () => {
    await client.chat.completions.create({
      model: 'parrot',
      messages,
      n: 1,
      tools: [],
      frequency_penalty: 0,
      logit_bias: {},
      response_format: { type: 'text' },
      user: 'somebody',
    });
  });

  test("use OpenAI's name for a prompt over the context", async () => {
    system.driver.failAt = {
      index: 0,
      error: new AiosError(
        'CONTEXT_LENGTH_EXCEEDED',
        'the context is 100 tokens, the prompt 200.',
        {
          details: { contextTokens: 100, promptTokens: 200 },
        },
      ),
    };
    for (const stream of [false, true]) {
      const error = await failure(
        client.chat.completions.create({ model: 'parrot', messages, stream }),
      );
      expect(error).toMatchObject({ status: 400, code: 'context_length_exceeded' });
    }
  });

  test('say when to come again', async () => {
    system.driver.failAt = { index: 0, error: new AiosError('BUSY', 'all slots are taken.') };

    const error = await failure(client.chat.completions.create({ model: 'parrot', messages }));

    expect(error).toMatchObject({ status: 429, code: 'BUSY', type: 'rate_limit_error' });
    expect(error.headers?.get('retry-after')).toBe('1');
  });

  test('say how many wait and when to come again, where that is known', async () => {
    const details = { waiting: 64, maxWaiting: 64, openSessions: 8, retryAfterMs: 12_300 };
    system.driver.failAt = { index: 0, error: new AiosError('BUSY', '64 wait.', { details }) };

    for (const stream of [false, true]) {
      const error = await failure(
        client.chat.completions.create({ model: 'parrot', messages, stream }),
      );
      expect(error).toMatchObject({ status: 429, error: { details } });
      expect(error.headers?.get('retry-after')).toBe('13');
    }
  });

  test('in the middle of a stream are an event, and the stream has no [DONE]', async () => {
    system.driver.failAt = {
      index: 3,
      error: new AiosError('SHARD_UNAVAILABLE', 'a shard is gone.'),
    };
    let text = '';
    const stream = await client.chat.completions.create({
      model: 'parrot',
      messages,
      stream: true,
    });
    const read = async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    };

    expect(await failure(read())).toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    expect(text).toBe('Hel');
  });

  test('tell nothing of the inside of the process', async () => {
    system.driver.failAt = { index: 0, error: new Error('secret path') };

    const error = await failure(client.chat.completions.create({ model: 'parrot', messages }));

    expect(error).toMatchObject({ status: 500, code: 'INTERNAL' });
    expect(error.message).not.toContain('secret');
    expect(system.logged.join()).toContain('secret path');
  });

  test('are an error object for a route that is not there', async () => {
    const response = await fetch(`${system.url}/v1/embeddings`, { method: 'POST', body: '{}' });

    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: 'NOT_FOUND' } });
  });
});
