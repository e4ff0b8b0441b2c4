import { afterEach, describe, expect, test } from 'vitest';
import {
  createGenerationDriver,
  type GenerateRequest,
  type GenerationEvent,
} from '../../../runtime/vdag/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { readGolden } from '../../support/tiny-assistant.ts';
import { FakeShard, type Script } from './fake-shard.ts';
import {
  collect,
  FakeDirectory,
  modelVdag,
  resolverOf,
  tokenizerArtifacts,
  until,
} from './fake-system.ts';

const row = readGolden().rows[0]!;
const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(
  blockIds: readonly string[],
  script: Partial<Script> = {},
  contextTokens = 64,
) {
  const shards: FakeShard[] = [];
  for (const blockId of blockIds) {
    const shard = await new FakeShard(blockId, { tokens: row.tokens, ...script }).start();
    shards.push(shard);
    cleanups.push(() => shard.stop());
  }
  const directory = new FakeDirectory().add(...shards);
  const log: string[] = [];
  const driver = createGenerationDriver({
    resolveVdag: resolverOf(modelVdag(blockIds, contextTokens)),
    directory,
    artifacts: tokenizerArtifacts,
    recoveryLimitMs: 3000,
    log: (line) => log.push(line),
  });
  cleanups.push(() => driver.close());
  return { shards, directory, driver, log, first: shards[0]!, last: shards.at(-1)! };
}

const ask = (changes: Partial<GenerateRequest> = {}): GenerateRequest => ({
  tenant: 'default',
  vdagUri: 'tiny',
  prompt: { type: 'messages', messages: row.messages },
  sampling: { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1 },
  stop: [],
  ignoreEndToken: false,
  deadlineMs: Date.now() + 20_000,
  signal: new AbortController().signal,
  ...changes,
});

const textOf = (events: readonly GenerationEvent[]) =>
  events.map((event) => (event.type === 'prompt' ? '' : event.text)).join('');
const tokensOf = (events: readonly GenerationEvent[]) =>
  events.flatMap((event) => (event.type === 'token' ? [event.token] : []));
const endOf = (events: readonly GenerationEvent[]) => {
  const end = events.at(-1);
  if (end?.type !== 'end') throw new Error('the answer has no end');
  return end;
};

describe.each([1, 2, 3])('over %i shards', (count) => {
  const blocks = Array.from({ length: count }, (_, index) => `b${index}`);

  test('an answer is prompt, tokens and end, and leaves nothing behind', async () => {
    const { driver, directory, shards } = await start(blocks);

    const events = await collect(driver.generate(ask()));

    expect(events[0]).toEqual({ type: 'prompt', tokens: row.promptTokens });
    expect(textOf(events)).toBe(row.text);
    expect(tokensOf(events)).toEqual(row.tokens);
    expect(endOf(events)).toMatchObject({
      finishReason: 'stop',
      usage: { promptTokens: row.promptTokens.length, completionTokens: row.tokens.length },
    });
    expect(endOf(events).hops).toEqual(
      shards.map(({ instanceId }) => ({
        instanceId,
        computeMs: 2 * row.tokens.length,
        waitMs: row.tokens.length,
      })),
    );
    await until(() => shards.every(({ sessions }) => sessions.size === 0));
    expect(directory.outstanding).toBe(0);
  });

  test('the same frames come for each answer: open, chunks of the prompt, one step a token', async () => {
    const { driver, first } = await start(blocks);
    await collect(driver.generate(ask({ maxTokens: 3 })));
    await until(() => first.closes > 0);

    const frames = first.received;
    expect(frames.map(({ type }) => type)).toEqual(['open', 'step', 'step', 'step', 'close']);
    expect(frames.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4]);
    expect(
      frames.slice(1, 4).map(({ position, rows, sample }) => [position, rows, sample]),
    ).toEqual([
      [0, 13, true],
      [13, 1, true],
      [14, 1, true],
    ]);
    expect(first.opens[0]).toMatchObject({ promptTokens: row.promptTokens, tenant: 'default' });
    expect(first.opens[0]?.sampling.seed).toBeTypeOf('number');
  });

  test('a client that stops reading frees its session in every shard', async () => {
    const { driver, directory, shards } = await start(blocks, { tokens: [54] });

    for await (const event of driver.generate(ask({ maxTokens: 40 }))) {
      if (event.type === 'token') break;
    }

    await until(() => shards.every(({ sessions }) => sessions.size === 0));
    expect(directory.outstanding).toBe(0);
  });

  test('a shard that ends in the middle is replaced, and the text is the one it would have been', async () => {
    const { driver, directory, last, log } = await start(blocks, { muteAt: 2 });
    const answer = collect(driver.generate(ask()));
    await until(() => [...last.sessions.values()][0]?.sampled === 3);
    const another = await new FakeShard(last.blockId, { tokens: row.tokens }, 'another').start();
    cleanups.push(() => another.stop());
    directory.blocks.set(last.blockId, [another]);
    await last.stop();

    const events = await answer;
    expect(textOf(events)).toBe(row.text);
    expect(tokensOf(events)).toEqual(row.tokens);
    expect(events.at(-1)).toMatchObject({ recoveries: [{ answeredTokens: 2, attempts: 1 }] });
    // The prompt in the same steps, then the answer so far token by token, asking for nothing but what comes next.
    const prompt = last.opens[0]?.promptTokens.length ?? 0;
    const steps = another.received.filter(({ type }) => type === 'step');
    expect(steps.map(({ position, rows }) => [position, rows])).toEqual([
      [0, prompt],
      ...row.tokens.slice(1).map((_, index) => [prompt + index, 1]),
    ]);
    const asking = steps.filter(({ sample }) => sample);
    expect(asking).toHaveLength(row.tokens.length - 2);
    expect(another.opens[0]?.promptTokens).toEqual([
      ...(last.opens[0]?.promptTokens ?? []),
      ...row.tokens.slice(0, 2),
    ]);
    expect(log).toContainEqual(expect.stringMatching(/paused an answer \d+ ms after 2 tokens/));
    expect(directory.outstanding).toBe(0);
  });

  test('eight answers run at once, and each is its own', async () => {
    const { driver, shards } = await start(blocks);

    const answers = await Promise.all(
      Array.from({ length: 8 }, () => collect(driver.generate(ask()))),
    );

    expect(answers.map(textOf)).toEqual(Array.from({ length: 8 }, () => row.text));
    for (const shard of shards) expect(shard.maxSessions).toBeGreaterThan(1);
  });

  test('a shard that ends in the middle and does not come back is a typed error, and is reported', async () => {
    const { driver, directory, last } = await start(blocks, { muteAt: 2 });
    const answer = collect(driver.generate(ask()));
    await until(() => [...last.sessions.values()][0]?.sampled === 3);
    await last.stop();

    await expect(answer).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE', retryable: true });
    expect(directory.reported).toContain(last.instanceId);
    expect(directory.outstanding).toBe(0);
  });
});

describe('an answer ends', () => {
  test('at max tokens, with length', async () => {
    const { driver } = await start(['b0']);
    const events = await collect(driver.generate(ask({ maxTokens: 5 })));

    expect(tokensOf(events)).toEqual(row.tokens.slice(0, 5));
    expect(endOf(events)).toMatchObject({
      finishReason: 'length',
      usage: { completionTokens: 5 },
    });
  });

  test("at the context's edge, also when more was asked for", async () => {
    const { driver } = await start(['b0'], { tokens: [54] }, 32);
    for (const limit of [{}, { maxTokens: 1000 }]) {
      const events = await collect(driver.generate(ask(limit)));

      expect(tokensOf(events)).toHaveLength(32 - row.promptTokens.length);
      expect(endOf(events).finishReason).toBe('length');
    }
  });

  test('before a stop string, whose tokens are neither shown nor counted', async () => {
    const { driver } = await start(['b0']);
    const stop = ['is To', 'never'];
    const events = await collect(driver.generate(ask({ stop })));

    expect(textOf(events)).toBe('The capital of Japan ');
    const shown = tokensOf(events);
    expect(row.tokens.slice(0, shown.length)).toEqual(shown);
    expect(endOf(events)).toMatchObject({
      finishReason: 'stop',
      usage: { completionTokens: shown.length },
    });
    expect(shown.length).toBeLessThan(10);
  });

  test('with text that looked like a stop string but was none', async () => {
    const { driver } = await start(['b0']);
    const events = await collect(driver.generate(ask({ stop: ['Tokyo?', 'yo..'] })));

    expect(textOf(events)).toBe(row.text);
    expect(tokensOf(events)).toEqual(row.tokens);
  });

  test('not at the end token when that is ignored, and special tokens give no text', async () => {
    const { driver } = await start(['b0']);
    const events = await collect(driver.generate(ask({ ignoreEndToken: true, maxTokens: 20 })));

    expect(tokensOf(events)).toEqual([...row.tokens, ...row.tokens].slice(0, 20));
    expect(textOf(events)).toBe(`${row.text}The capital of Jap`);
    expect(endOf(events).finishReason).toBe('length');
  });

  test('with U+FFFD for a character that never became whole', async () => {
    const { driver } = await start(['b0'], { tokens: await tokensOfText('é') });
    const events = await collect(driver.generate(ask({ maxTokens: 1 })));

    expect(textOf(events)).toBe('\uFFFD');
  });
});

describe('a prompt', () => {
  test('over the context is refused with both numbers, and no shard hears of it', async () => {
    const { driver, first } = await start(['b0'], {}, row.promptTokens.length);

    await expect(collect(driver.generate(ask()))).rejects.toMatchObject({
      code: 'CONTEXT_LENGTH_EXCEEDED',
      details: { contextTokens: 13, promptTokens: 13 },
      message: expect.stringMatching(/13.*13/),
    });
    expect(first.received).toEqual([]);
  });

  test('of megabytes is refused by its length, and of many tokens before the last is counted', async () => {
    const { driver, shards } = await start(['b0'], {}, 4096);
    const refusal = async (text: string) => {
      const work = collect(driver.generate(ask({ prompt: { type: 'text', text } })));
      return AiosError.from(await work.catch((error: unknown) => error));
    };

    const long = await refusal('word '.repeat(2 ** 21));
    expect(long).toMatchObject({ code: 'CONTEXT_LENGTH_EXCEEDED' });
    expect(long.details).toEqual({ contextTokens: 4096, promptTokens: (5 * 2 ** 21) / 32 });

    const dense = await refusal('a1'.repeat(65_000));
    expect(dense.code).toBe('CONTEXT_LENGTH_EXCEEDED');
    expect(dense.details.contextTokens).toBe(4096);
    expect(dense.details.promptTokens).toBeGreaterThan(4096);
    expect(dense.details.promptTokens).toBeLessThan(40_000);
    expect(shards[0]?.opens).toHaveLength(0);
  });

  test('one token below the context gets one token', async () => {
    const { driver } = await start(['b0'], {}, row.promptTokens.length + 1);

    expect(tokensOf(await collect(driver.generate(ask())))).toHaveLength(1);
  });

  test('may be a text or tokens', async () => {
    const { driver, first } = await start(['b0']);
    await collect(driver.generate(ask({ prompt: { type: 'text', text: row.prompt } })));
    await collect(driver.generate(ask({ prompt: { type: 'tokens', tokens: row.promptTokens } })));

    expect(first.opens.map(({ promptTokens }) => promptTokens)).toEqual([
      row.promptTokens,
      row.promptTokens,
    ]);
  });

  test.each([[[]], [[768]], [[-1]], [[1.5]]])('of tokens %j is refused', async (tokens) => {
    const { driver } = await start(['b0']);

    await expect(
      collect(driver.generate(ask({ prompt: { type: 'tokens', tokens } }))),
    ).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });

  test('longer than a chunk is sent in chunks, of which the last asks for a token', async () => {
    const { driver, first } = await start(['b0'], {}, 2000);
    const tokens = Array.from({ length: 1000 }, (_, index) => index % 700);
    await collect(driver.generate(ask({ prompt: { type: 'tokens', tokens }, maxTokens: 1 })));

    const steps = first.received.filter(({ type }) => type === 'step');
    expect(steps.map(({ position, rows, sample }) => [position, rows, sample])).toEqual([
      [0, 341, false],
      [341, 341, false],
      [682, 318, true],
    ]);
  });
});

describe('failures', () => {
  test('a full shard is asked again, until it has room', async () => {
    const busy = new AiosError('BUSY', 'no slot is free.');
    const { driver, first } = await start(['b0'], { refuseOpen: [busy] });

    expect(textOf(await collect(driver.generate(ask())))).toBe(row.text);
    expect(first.opens).toHaveLength(2);

    // However often: it waits, as the others do, until there is room.
    first.script.refuseOpen = [busy, busy, busy];
    expect(textOf(await collect(driver.generate(ask())))).toBe(row.text);
  });

  test('another instance answers when the first is gone', async () => {
    const { driver, directory, first } = await start(['b0']);
    const gone = await new FakeShard('b0', { tokens: row.tokens }, 'b0-gone').start();
    directory.blocks.set('b0', [gone, first]);
    await gone.stop();

    expect(textOf(await collect(driver.generate(ask())))).toBe(row.text);
    expect(directory.reported).toEqual(['b0-gone']);
  });

  test('of a place are repaired in the middle of an answer, and no token comes twice', async () => {
    const error = new AiosError('SHARD_UNAVAILABLE', 'gone.');
    const { driver, first } = await start(['b0'], { failAt: { index: 3, error, once: true } });

    expect(tokensOf(await collect(driver.generate(ask())))).toEqual(row.tokens);
    expect(first.opens).toHaveLength(2);
  });

  test('that come again before any token are not repaired for ever', async () => {
    const error = new AiosError('SHARD_UNAVAILABLE', 'the answer kills it.');
    const { driver, first } = await start(['b0'], { failAt: { index: 3, error } });

    await expect(collect(driver.generate(ask()))).rejects.toMatchObject({ code: error.code });
    expect(first.opens.length).toBeGreaterThan(1);
    expect(first.opens.length).toBeLessThan(10);
  });

  test('of the work itself are not tried again', async () => {
    const error = new AiosError('TENSOR_MISMATCH', 'of another model.');
    const { driver, first } = await start(['b0'], { failAt: { index: 3, error } });

    await expect(collect(driver.generate(ask()))).rejects.toMatchObject({ code: error.code });
    expect(first.opens).toHaveLength(1);
  });

  test('a silent shard ends at the deadline, and its memory is freed', async () => {
    const { driver, shards, directory } = await start(['b0', 'b1'], { muteAt: 1 });

    await expect(
      collect(driver.generate(ask({ deadlineMs: Date.now() + 200 }))),
    ).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await until(() => shards.every(({ sessions }) => sessions.size === 0));
    expect(directory.outstanding).toBe(0);
  });

  test('a caller that goes away ends it at once', async () => {
    const { driver, shards } = await start(['b0', 'b1'], { muteAt: 1 });
    const controller = new AbortController();
    const answer = collect(driver.generate(ask({ signal: controller.signal })));
    await until(() => shards.every(({ sessions }) => sessions.size === 1));
    controller.abort();

    await expect(answer).rejects.toMatchObject({ code: 'CANCELLED' });
    await until(() => shards.every(({ sessions }) => sessions.size === 0));
  });

  test('closing the driver ends its answers', async () => {
    const { driver, shards } = await start(['b0'], { muteAt: 1 });
    const answer = collect(driver.generate(ask()));
    await until(() => shards[0]?.sessions.size === 1);
    await driver.close();

    await expect(answer).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('a vDAG that is no language model, or is not there, says so', async () => {
    const { driver } = await start(['b0']);

    await expect(collect(driver.generate(ask({ vdagUri: 'missing' })))).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});

test('log-probabilities come with text and bytes of each token', async () => {
  const { driver } = await start(['b0'], { logprobs: true });
  const events = await collect(driver.generate(ask({ maxTokens: 1 })));

  const choice = { token: 290, text: 'The', bytes: [84, 104, 101], logprob: -1 };
  expect(events[1]).toMatchObject({ choice: { ...choice, top: [choice] } });
});

async function tokensOfText(text: string): Promise<number[]> {
  const { driver, first } = await start(['encoder']);
  await collect(driver.generate(ask({ prompt: { type: 'text', text }, maxTokens: 1 })));
  return [...(first.opens[0]?.promptTokens ?? [])];
}
