import OpenAI, { APIError } from 'openai';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { modelUri, startTestGateway } from './fakes.ts';

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

describe('models', () => {
  test('are listed, and found by URI and by bare name', async () => {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    expect(ids).toEqual([modelUri]);

    expect((await client.models.retrieve('parrot')).id).toBe(modelUri);
    expect(await failure(client.models.retrieve('cat'))).toMatchObject({
      status: 404,
      code: 'NOT_FOUND',
    });
  });
});

describe('chat', () => {
  test('answers whole, with finish reason and usage', async () => {
    const answer = await client.chat.completions.create({ model: 'parrot', messages });

    expect(answer.object).toBe('chat.completion');
    expect(answer.choices[0]).toMatchObject({
      message: { role: 'assistant', content: 'Hello!' },
      finish_reason: 'stop',
      logprobs: null,
    });
    expect(answer.usage).toEqual({ prompt_tokens: 3, completion_tokens: 6, total_tokens: 9 });
    expect(answer).not.toHaveProperty('prompt_token_ids');
  });

  test('streams token by token, role first, usage last', async () => {
    const stream = await client.chat.completions.create({
      model: 'parrot',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);

    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '' });
    const texts = chunks.map(({ choices }) => choices[0]?.delta.content ?? '');
    expect(texts.filter((text) => text !== '')).toEqual(['H', 'e', 'l', 'l', 'o', '!']);
    const reasons = chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? []);
    expect(reasons).toEqual(['stop']);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 9 } });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  test('tells the answer that nobody reads on, so that it gives back what it holds', async () => {
    await client.chat.completions.create({ model: 'parrot', messages });
    expect(system.driver.ended).toBe(1);

    const stream = await client.chat.completions.create({
      model: 'parrot',
      messages,
      stream: true,
    });
    for await (const _ of stream);
    expect(system.driver.ended).toBe(2);
  });

  test('ends a stream with [DONE]', async () => {
    const response = await fetch(`${system.url}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'parrot', messages, stream: true }),
    });

    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect((await response.text()).trimEnd().endsWith('data: [DONE]')).toBe(true);
  });

  test('hands every parameter to the driver in our units', async () => {
    await client.chat.completions.create({
      model: 'parrot',
      messages: [
        { role: 'developer', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
      ],
      max_completion_tokens: 5,
      temperature: 0.5,
      top_p: 0.9,
      seed: -1,
      stop: ['x', 'y'],
      logprobs: true,
      top_logprobs: 2,
      ...{ top_k: -1, repetition_penalty: 1.1, ignore_eos: true, unknown_field: 1 },
    });

    expect(system.driver.requests[0]).toMatchObject({
      tenant: 'default',
      vdagUri: 'parrot',
      prompt: {
        type: 'messages',
        messages: [
          { role: 'system', content: 'Be brief.' },
          { role: 'user', content: 'ab' },
        ],
      },
      maxTokens: 5,
      stop: ['x', 'y'],
      ignoreEndToken: true,
      sampling: {
        temperature: 0.5,
        topP: 0.9,
        topK: 0,
        repetitionPenalty: 1.1,
        seed: Number.MAX_SAFE_INTEGER,
        logprobs: 2,
      },
    });
  });

  test('leaves the length to the model when nobody limits it', async () => {
    await client.chat.completions.create({ model: 'parrot', messages });

    expect(system.driver.requests[0]).not.toHaveProperty('maxTokens');
    expect(system.driver.requests[0]?.sampling).toEqual({
      temperature: 1,
      topP: 1,
      topK: 0,
      repetitionPenalty: 1,
    });
  });

  test('reports log-probabilities in the chat form', async () => {
    const answer = await client.chat.completions.create({
      model: 'parrot',
      messages,
      logprobs: true,
      top_logprobs: 2,
    });

    const content = answer.choices[0]?.logprobs?.content;
    expect(content).toHaveLength(6);
    expect(content?.[0]).toEqual({
      token: 'H',
      logprob: -0.5,
      bytes: [72],
      top_logprobs: [
        { token: 'H0', logprob: -0.5, bytes: [72] },
        { token: 'H1', logprob: -1.5, bytes: [72] },
      ],
    });
  });

  test('returns token ids as vLLM does, whole and streamed', async () => {
    const wanted = { model: 'parrot', messages, return_token_ids: true } as const;
    const ids = [...'Hello!'].map((letter) => letter.charCodeAt(0));

    const whole = await client.chat.completions.create(wanted);
    expect(whole).toMatchObject({ prompt_token_ids: [7, 8, 9], choices: [{ token_ids: ids }] });

    const streamed: number[] = [];
    for await (const chunk of await client.chat.completions.create({ ...wanted, stream: true })) {
      const choice = chunk.choices[0] as { token_ids?: number[] } | undefined;
      streamed.push(...(choice?.token_ids ?? []));
    }
    expect(streamed).toEqual(ids);
  });

  test('says where the time went beside the fields of OpenAI', async () => {
    const answer = await client.chat.completions.create({ model: 'parrot', messages });

    expect(answer).toMatchObject({ aios: { hops: [{ instanceId: 'shard-0-a', computeMs: 1 }] } });
  });
});

describe('completions', () => {
  test('take a text, token ids, or a list of one', async () => {
    for (const prompt of ['ab', [1, 2], ['ab'], [[1, 2]]]) {
      await client.completions.create({ model: 'parrot', prompt });
    }

    expect(system.driver.requests.map(({ prompt }) => prompt)).toEqual([
      { type: 'text', text: 'ab' },
      { type: 'tokens', tokens: [1, 2] },
      { type: 'text', text: 'ab' },
      { type: 'tokens', tokens: [1, 2] },
    ]);
  });

  test('answer whole and streamed, with parallel lists of log-probabilities', async () => {
    const whole = await client.completions.create({ model: 'parrot', prompt: 'x', logprobs: 1 });
    expect(whole.object).toBe('text_completion');
    expect(whole.choices[0]).toMatchObject({
      text: 'Hello!',
      finish_reason: 'stop',
      logprobs: {
        tokens: ['H', 'e', 'l', 'l', 'o', '!'],
        token_logprobs: [-0.5, -0.5, -0.5, -0.5, -0.5, -0.5],
        text_offset: [0, 1, 2, 3, 4, 5],
      },
    });
    expect(whole.choices[0]?.logprobs?.top_logprobs?.[0]).toEqual({ H0: -0.5, H: -0.5 });

    const stream = await client.completions.create({
      model: 'parrot',
      prompt: 'x',
      logprobs: 1,
      stream: true,
    });
    let text = '';
    const offsets: number[] = [];
    for await (const chunk of stream) {
      text += chunk.choices[0]?.text ?? '';
      offsets.push(...(chunk.choices[0]?.logprobs?.text_offset ?? []));
    }
    expect(text).toBe('Hello!');
    expect(offsets).toEqual([0, 1, 2, 3, 4, 5]);
  });
});
