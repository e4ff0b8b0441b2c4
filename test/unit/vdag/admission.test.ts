import { afterEach, describe, expect, test } from 'vitest';
import {
  createGenerationDriver,
  type GenerateRequest,
  type GenerationEvent,
} from '../../../runtime/vdag/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import type { GenerationLimits } from '../../../sdk/spec/vdag.ts';
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

/** Two shards with so many slots each, as the directory knows; the second block may be of another model too. */
async function start(
  slots: number,
  limits: Partial<GenerationLimits>,
  script: Partial<Script> = {},
) {
  const blocks = ['b0', 'b1'];
  const shards: FakeShard[] = [];
  for (const block of blocks) {
    const shard = await new FakeShard(block, { tokens: row.tokens, ...script }).start();
    shards.push(shard);
    cleanups.push(() => shard.stop());
  }
  const directory = new FakeDirectory().add(...shards);
  directory.slotsOf.set('b0', slots + 3).set('b1', slots);
  const driver = createGenerationDriver({
    resolveVdag: resolverOf(modelVdag(blocks, 64, limits)),
    directory,
    artifacts: tokenizerArtifacts,
  });
  cleanups.push(() => driver.close());
  return { driver, directory, shards };
}

const ask = (changes: Partial<GenerateRequest> = {}): GenerateRequest => ({
  tenant: 'default',
  vdagUri: 'tiny',
  prompt: { type: 'tokens', tokens: row.promptTokens },
  sampling: { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1 },
  stop: [],
  ignoreEndToken: false,
  deadlineMs: Date.now() + 20_000,
  signal: new AbortController().signal,
  ...changes,
});
const textOf = (events: readonly GenerationEvent[]) =>
  events.map((event) => (event.type === 'prompt' ? '' : event.text)).join('');

/** Reads up to the first token, and is held there. */
async function begin(events: AsyncIterable<GenerationEvent>) {
  const iterator = events[Symbol.asyncIterator]();
  for (let next = await iterator.next(); ; next = await iterator.next()) {
    if (next.done || next.value.type === 'token') return iterator;
  }
}

describe('more requests than slots', () => {
  test('all are answered, clients take turns, and no shard has more sessions than slots', async () => {
    const { driver, directory, shards } = await start(1, {});
    const held = await begin(driver.generate(ask({ client: 'first' })));
    const order: string[] = [];
    const answers: Promise<string>[] = [];
    const clients = ['a', 'a', 'a', 'b', 'c', 'b'];
    for (const client of clients) {
      answers.push(
        collect(driver.generate(ask({ client }))).then((events) => {
          order.push(client);
          return textOf(events);
        }),
      );
      // In this order.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await held.return?.();

    expect(await Promise.all(answers)).toEqual(clients.map(() => row.text));
    expect(order.join('')).toBe('abcaba');
    expect(shards.map(({ maxSessions }) => maxSessions)).toEqual([1, 1]);
    expect(directory.outstanding).toBe(0);
    expect(new Set(shards[0]?.opens.map(({ tenant }) => tenant))).toEqual(
      new Set(['default/first', 'default/a', 'default/b', 'default/c']),
    );
  });

  test('who finds the line full is told how many wait; who leaves the line makes room in it', async () => {
    const { driver } = await start(1, { maxWaiting: 1 });
    const held = await begin(driver.generate(ask()));
    const leaving = new AbortController();
    const waits = collect(driver.generate(ask({ signal: leaving.signal }))).catch(AiosError.from);
    await new Promise((resolve) => setTimeout(resolve, 50));

    await expect(collect(driver.generate(ask()))).rejects.toMatchObject({
      code: 'BUSY',
      details: { waiting: 1, maxWaiting: 1, openSessions: 1 },
    });
    leaving.abort();
    expect(await waits).toMatchObject({ code: 'CANCELLED' });
    const next = collect(driver.generate(ask()));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await held.return?.();

    expect(textOf(await next)).toBe(row.text);
  });

  test('a deadline that passes in the line ends the waiting', async () => {
    const { driver } = await start(1, {});
    const held = await begin(driver.generate(ask()));

    const late = collect(driver.generate(ask({ deadlineMs: Date.now() + 50 })));
    await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await held.return?.();
  });

  test('a slot that others give back is found, and one that they take means to wait', async () => {
    const busy = new AiosError('BUSY', 'no slot is free.');
    const { driver, directory, shards } = await start(0, {}, { refuseOpen: [] });
    const answer = collect(driver.generate(ask()));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(shards[0]?.opens).toEqual([]);
    shards[0]?.script.refuseOpen?.push(busy, busy);
    directory.slotsOf.set('b1', 1);

    expect(textOf(await answer)).toBe(row.text);
    await until(() => shards[0]?.opens.length === 3);
  });
});

describe('limits of the document', () => {
  const failure = (limits: Partial<GenerationLimits>, changes: Partial<GenerateRequest> = {}) =>
    start(4, limits, changes.deadlineMs === undefined ? {} : { muteAt: 1 }).then(({ driver }) =>
      collect(driver.generate(ask(changes))).catch(AiosError.from),
    );

  test('an answer of more tokens is refused, and one that asks for none is as long as it may be', async () => {
    expect(await failure({ maxAnswerTokens: 3 }, { maxTokens: 4 })).toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('at most 3 here (generation.limits.maxAnswerTokens)'),
    });
    expect((await failure({ maxAnswerTokens: 3 })) as GenerationEvent[]).toContainEqual(
      expect.objectContaining({
        finishReason: 'length',
        usage: { promptTokens: row.promptTokens.length, completionTokens: 3 },
      }),
    );
  });

  test('a context may be less than the model has', async () => {
    expect(await failure({ maxContextTokens: 10 })).toMatchObject({
      code: 'CONTEXT_LENGTH_EXCEEDED',
      details: { contextTokens: 10 },
    });
  });

  test('an answer may take so long, whatever the request allows', async () => {
    const deadlineMs = Date.now() + 60_000;
    expect(await failure({ maxAnswerMs: 60 }, { deadlineMs })).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringContaining('generation.limits.maxAnswerMs'),
    });
  });

  test('a client has so many answers at once; others are not held up by it', async () => {
    const { driver, shards } = await start(4, { maxSessionsPerClient: 1 });
    const held = await begin(driver.generate(ask({ client: 'a' })));
    const second = collect(driver.generate(ask({ client: 'a' })));
    expect(textOf(await collect(driver.generate(ask({ client: 'b' }))))).toBe(row.text);
    expect(shards[0]?.opens).toHaveLength(2);
    await held.return?.();

    expect(textOf(await second)).toBe(row.text);
  });
});
