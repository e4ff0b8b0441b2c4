import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { run } from '../../../cli/run.ts';
import { errorCodes } from '../../../sdk/errors.ts';
import { aios, events, type FakeServer, fakeIo, json, problem, serve } from './harness.ts';

const servers: FakeServer[] = [];
const start = async (routes: Parameters<typeof serve>[0]): Promise<FakeServer> => {
  const server = await serve(routes);
  servers.push(server);
  return server;
};
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

const model = { 'GET /v1/models/m': json({ id: 'm' }) };

const chunk = (content: string, finish?: string) => ({
  choices: [{ delta: { content }, token_ids: [7], finish_reason: finish ?? null }],
});

describe('chat', () => {
  it('keeps the conversation, one question a line, until the input ends', async () => {
    const server = await start({
      ...model,
      'POST /v1/chat/completions': events(chunk('he'), chunk('llo', 'stop'), '[DONE]'),
    });

    const { code, out } = await aios(
      ['chat', 'm', '--system', 'be brief', '--temperature', '0', '--url', server.url],
      { input: 'hi\n\nand you?\n/exit\nnever asked\n' },
    );

    expect({ code, out }).toEqual({ code: 0, out: 'hello\nhello\n' });
    const questions = server.asked.filter(({ method }) => method === 'POST');
    expect(questions).toHaveLength(2);
    expect(questions[1]?.json()).toMatchObject({
      model: 'm',
      temperature: 0,
      messages: [
        { role: 'system', content: 'be brief' },
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: 'hello' },
        { role: 'user', content: 'and you?' },
      ],
    });
  });

  it('ends with the code of an error inside the stream', async () => {
    const server = await start({
      ...model,
      'POST /v1/chat/completions': events(chunk('he'), {
        error: { code: 'SHARD_UNAVAILABLE', message: 'gone.', type: 'server_error' },
      }),
    });

    const { code, err } = await aios(['chat', 'm', '--url', server.url], { input: 'hi\n' });

    expect(code).toBe(errorCodes.SHARD_UNAVAILABLE.exit);
    expect(err).toContain('SHARD_UNAVAILABLE gone.');
  });

  it('stops the answer at Ctrl-C, not the program, and leaves at two more', async () => {
    let closed = false;
    const server = await start({
      ...model,
      'POST /v1/chat/completions': (_asked, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(`data: ${JSON.stringify(chunk('endless '))}\n\n`);
        response.on('close', () => {
          closed = true;
        });
      },
    });
    const io = fakeIo({ onOutput: (text) => text === 'endless ' && io.signal('SIGINT') });
    const ended = run(['chat', 'm', '--url', server.url], io);

    io.stdin.write('hi\n');
    while (!closed) await sleep(5);
    while (io.output() !== 'endless \n') await sleep(5);
    io.signal('SIGINT');
    expect(io.errors()).toContain('/exit');
    io.signal('SIGINT');

    expect(await ended).toBe(0);
  });

  it.each([
    ['a misspelt name', 'tinny', "did you mean 'tiny'?"],
    ['a misspelt URI', 'tiny:1.0.0-stabel', "did you mean 'tiny:1.0.0-stable'?"],
    ['a name like no other', 'zebra', 'there is tiny:1.0.0-stable'],
  ])('refuses %s before a question is asked', async (_name, name, hint) => {
    const server = await start({
      'GET /v1/models/': problem(404, 'NOT_FOUND', 'no such model.'),
      'GET /v1/models': json({ data: [{ id: 'tiny:1.0.0-stable' }] }),
    });

    const { code, err } = await aios(['chat', name, '--url', server.url], { input: '' });

    expect(code).toBe(errorCodes.NOT_FOUND.exit);
    expect(err).toContain(hint);
  });

  it('fails without a control plane, also where nothing is asked', async () => {
    const server = await start({});
    await server.close();

    const { code } = await aios(['chat', 'm', '--url', server.url], { input: '' });

    expect(code).toBe(errorCodes.CONNECTION_FAILED.exit);
  });

  it('starts another conversation at /new and explains itself at /help', async () => {
    const server = await start({
      ...model,
      'POST /v1/chat/completions': events(chunk('ok', 'stop'), '[DONE]'),
    });
    const argv = ['chat', 'm', '--system', 'be brief', '--url', server.url];

    const { code, err } = await aios(argv, { input: 'one\n/new\ntwo\n/help\n /usr is what?\n' });

    expect(code).toBe(0);
    expect(err).toContain('/new');
    const asked = server.asked
      .filter(({ method }) => method === 'POST')
      .map((question) => question.json() as { messages: { content: string }[] })
      .map(({ messages }) => messages.map(({ content }) => content));
    expect(asked).toEqual([
      ['be brief', 'one'],
      ['be brief', 'two'],
      ['be brief', 'two', 'ok', '/usr is what?'],
    ]);
  });

  it('sends no unknown order to the model', async () => {
    const server = await start(model);

    const { code, err } = await aios(['chat', 'm', '--url', server.url], { input: '/hlep\n' });

    expect(code).toBe(errorCodes.REQUEST_INVALID.exit);
    expect(err).toContain('did you mean /help?');
    expect(server.asked.filter(({ method }) => method === 'POST')).toEqual([]);
  });

  it.each([
    ['cuts an answer', events(chunk('he', 'length'), '[DONE]'), 0],
    ['refuses a question', problem(400, 'CONTEXT_LENGTH_EXCEEDED', 'too long.'), 2],
  ])('says how to go on when a full context %s', async (_name, answer, exit) => {
    const server = await start({ ...model, 'POST /v1/chat/completions': answer });

    const { code, err } = await aios(['chat', 'm', '--url', server.url], { input: 'hi\n' });

    expect(code).toBe(exit);
    expect(err).toContain('/new starts another');
  });

  it('blames --max-tokens, not the context, for an answer as long as asked', async () => {
    const server = await start({
      ...model,
      'POST /v1/chat/completions': events(chunk('he', 'length'), '[DONE]'),
    });
    const argv = ['chat', 'm', '--max-tokens', '1', '--url', server.url];

    expect(await aios(argv, { input: 'hi\n' })).toEqual({ code: 0, out: 'he\n', err: '' });
  });
});

describe('chat --timings', () => {
  const measured = {
    ...chunk('!', 'stop'),
    aios: {
      ...{ timeToFirstTokenMs: 120, totalMs: 900, waitedMs: 40 },
      tokenMs: { mean: 20.5, p50: 20, p99: 31 },
      partsMs: { computeMs: 15, waitMs: 3, wireMs: 2, driverMs: 0.5 },
      hops: [{ instanceId: 'shard-0-a', computeMs: 300, waitMs: 4 }],
    },
  };

  it('says where the time went, for people beside the answer and for programs in it', async () => {
    const server = await start({
      ...model,
      'POST /v1/chat/completions': events(measured, '[DONE]'),
    });
    const ask = (...flags: string[]) =>
      aios(['chat', 'm', '--url', server.url, ...flags], { input: 'hi\n' });

    const people = await ask('--timings');
    expect(people.out).toBe('!\n');
    expect(people.err).toContain('first token after 120 ms (40 ms of it waiting for a place)');
    expect(people.err).toContain('a token 21 ms (median 20 ms, 99 % within 31 ms)');
    expect(people.err).toContain('computing 15 ms, waiting 3.00 ms, on the wire 2.00 ms');
    expect(people.err).toMatch(/shard-0-a\s+300 ms\s+4\.00 ms/);
    expect((await ask()).err).toBe('');
    expect(JSON.parse((await ask('--timings', '--json')).out).timings).toEqual(measured.aios);
    expect(JSON.parse((await ask('--json')).out)).not.toHaveProperty('timings');
  });

  it('says so where the server tells no times', async () => {
    const server = await start({
      ...model,
      'POST /v1/chat/completions': events(chunk('!', 'stop'), '[DONE]'),
    });

    const { code, err } = await aios(['chat', 'm', '--timings', '--url', server.url], {
      input: 'hi\n',
    });
    expect({ code, err }).toEqual({ code: 0, err: '  the server says no times.\n' });
  });
});
