import { afterEach, describe, expect, test } from 'vitest';
import {
  createGenerationDriver,
  createGraphRunner,
  type InvokeRequest,
} from '../../../runtime/vdag/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import type { VdagSpec } from '../../../sdk/spec/vdag.ts';
import { readGolden } from '../../support/tiny-assistant.ts';
import { FakeShard } from './fake-shard.ts';
import {
  collect,
  FakeDirectory,
  graphVdag,
  modelVdag,
  resolverOf,
  tokenizerArtifacts,
  until,
} from './fake-system.ts';

const row = readGolden().rows[0]!;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Work = (data: never, signal: AbortSignal) => unknown;

/** Blocks by id, each a function of its data, behind real sockets. */
async function start(blocks: Readonly<Record<string, Work>>, ...vdags: VdagSpec[]) {
  const shards: Record<string, FakeShard> = {};
  const directory = new FakeDirectory();
  for (const [blockId, work] of Object.entries(blocks)) {
    const shard = await new FakeShard(blockId, { tokens: row.tokens }).start();
    shard.infer = async function* (packet, signal) {
      const result = await work(packet.data as never, signal);
      if (Array.isArray(result)) yield* result;
      else yield result;
    };
    shards[blockId] = shard;
    directory.add(shard);
    cleanups.push(() => shard.stop());
  }
  const resolveVdag = resolverOf(...vdags);
  const driver = createGenerationDriver({ resolveVdag, directory, artifacts: tokenizerArtifacts });
  const runner = createGraphRunner({ resolveVdag, directory, driver });
  cleanups.push(() => driver.close(), runner.close);
  const invoke = (
    kind: 'block' | 'vdag',
    id: string,
    data: unknown,
    more: Partial<InvokeRequest> = {},
  ) =>
    collect(
      runner.invoke({
        tenant: 'default',
        target: { kind, id },
        data,
        deadlineMs: Date.now() + 20_000,
        signal: new AbortController().signal,
        ...more,
      }),
    );
  const answer = async (...call: Parameters<typeof invoke>) => (await invoke(...call)).at(-1)?.data;
  return { shards, directory, runner, invoke, answer };
}

const block = (label: string, more: object = {}) => ({ label, blockId: label, ...more });
const edge = (from: string, to: string, ...outputNames: string[]) => ({ from, to, outputNames });
const text =
  (label: string): Work =>
  (data: { text?: string } | string) => ({
    text: `${typeof data === 'string' ? data : data.text}${label}`,
  });

describe('a block', () => {
  test('is called with data, session and parameters, and streams partial results', async () => {
    const { invoke, shards, directory } = await start({ a: () => ['one', 'two', { done: true }] });

    expect(await invoke('block', 'a', { x: 1 }, { sessionId: 's1' })).toEqual([
      { final: false, data: 'one' },
      { final: false, data: 'two' },
      { final: true, data: { done: true } },
    ]);
    expect(shards.a?.packets[0]?.packet).toMatchObject({ sessionId: 's1', data: { x: 1 } });
    expect(directory.outstanding).toBe(0);
  });

  test('that throws is a typed error', async () => {
    const { answer, directory } = await start({
      a: () => {
        throw new AiosError('BLOCK_FAILED', 'no.');
      },
    });

    await expect(answer('block', 'a', 1)).rejects.toMatchObject({ code: 'BLOCK_FAILED' });
    expect(directory.outstanding).toBe(0);
    expect(directory.reported).toEqual([]);
  });

  test('whose instance is gone is reported', async () => {
    const { answer, shards, directory } = await start({ a: () => 1 });
    await shards.a?.stop();

    await expect(answer('block', 'a', 1)).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    expect(directory.reported).toEqual(['a-a']);
  });

  test('two requests of one session are two packets', async () => {
    const { answer, shards } = await start({ a: () => 1 });
    await answer('block', 'a', 1, { sessionId: 's' });
    await answer('block', 'a', 1, { sessionId: 's' });

    const sequences = shards.a?.packets.map(({ packet }) => packet.sequence);
    expect(new Set(sequences).size).toBe(2);
  });
});

describe('a graph', () => {
  test('hands each node what its one upstream gave', async () => {
    const vdag = graphVdag('chain:1-a', [block('a'), block('b')], [edge('a', 'b')]);
    const { answer } = await start({ a: text('a'), b: text('b') }, vdag);

    expect(await answer('vdag', 'chain:1-a', { text: '' })).toEqual({ text: 'ab' });
  });

  test('fans out, and joins by label', async () => {
    const vdag = graphVdag(
      'diamond:1-a',
      [block('d'), block('b'), block('c'), block('a')],
      [edge('a', 'b'), edge('a', 'c'), edge('b', 'd'), edge('c', 'd')],
    );
    const { answer } = await start({ a: text('a'), b: text('b'), c: text('c'), d: (x) => x }, vdag);

    expect(await answer('vdag', 'diamond:1-a', '')).toEqual({
      b: { text: 'ab' },
      c: { text: 'ac' },
    });
  });

  test('with several tails answers by label', async () => {
    const vdag = graphVdag('v:1-a', [block('a'), block('b')]);
    const { answer } = await start({ a: text('a'), b: text('b') }, vdag);

    expect(await answer('vdag', 'v:1-a', 'x')).toEqual({ a: { text: 'xa' }, b: { text: 'xb' } });
  });

  test('selects the fields that an edge names', async () => {
    const vdag = graphVdag('v:1-a', [block('a'), block('b')], [edge('a', 'b', 'x')]);
    const { answer } = await start({ a: () => ({ x: 1, y: 2 }), b: (data) => data }, vdag);

    expect(await answer('vdag', 'v:1-a', {})).toEqual({ x: 1 });
  });

  test('says which field an edge names in vain', async () => {
    const vdag = graphVdag('v:1-a', [block('a'), block('b')], [edge('a', 'b', 'z')]);
    const { answer } = await start({ a: () => ({ x: 1 }), b: (data) => data }, vdag);

    await expect(answer('vdag', 'v:1-a', {})).rejects.toMatchObject({
      code: 'PROTOCOL_MISMATCH',
      details: { node: 'b', missing: ['z'] },
    });
  });

  test('lays model parameters over those of the block', async () => {
    const vdag = graphVdag('v:1-a', [block('a', { modelParameters: { threshold: 0.5 } })]);
    const { answer, shards } = await start({ a: () => 1 }, vdag);
    await answer('vdag', 'v:1-a', {});

    expect(shards.a?.packets[0]?.parameters).toEqual({ threshold: 0.5 });
  });

  test('runs branches at the same time', async () => {
    let running = 0;
    const together: Work = async () => {
      running += 1;
      await until(() => running === 2);
      return running;
    };
    const vdag = graphVdag('v:1-a', [block('a'), block('b')]);
    const { answer } = await start({ a: together, b: together }, vdag);

    expect(await answer('vdag', 'v:1-a', {})).toEqual({ a: 2, b: 2 });
  });

  test('streams the partial results of its only tail', async () => {
    const vdag = graphVdag('v:1-a', [block('a'), block('b')], [edge('a', 'b')]);
    const { invoke } = await start({ a: () => ['no', 'a'], b: () => ['yes', 'b'] }, vdag);

    expect(await invoke('vdag', 'v:1-a', {})).toEqual([
      { final: false, data: 'yes' },
      { final: true, data: 'b' },
    ]);
  });

  test('the first failure names its node and cancels the rest', async () => {
    let cancelled = false;
    const vdag = graphVdag('v:1-a', [block('slow'), block('bad')]);
    let started = false;
    const { answer, directory } = await start(
      {
        slow: async (_data, signal) => {
          started = true;
          await until(() => signal.aborted);
          cancelled = true;
        },
        bad: async () => {
          await until(() => started);
          throw new AiosError('BLOCK_FAILED', 'broken.');
        },
      },
      vdag,
    );

    await expect(answer('vdag', 'v:1-a', {})).rejects.toMatchObject({
      code: 'BLOCK_FAILED',
      details: { node: 'bad' },
      message: expect.stringContaining("'bad'"),
    });
    await until(() => cancelled);
    expect(directory.outstanding).toBe(0);
  });

  test('the deadline reaches every node', async () => {
    let cancelled = 0;
    const wait: Work = async (_data, signal) => {
      await until(() => signal.aborted);
      cancelled += 1;
    };
    const vdag = graphVdag('v:1-a', [block('a'), block('b')]);
    const { answer } = await start({ a: wait, b: wait }, vdag);

    await expect(
      answer('vdag', 'v:1-a', {}, { deadlineMs: Date.now() + 150 }),
    ).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await until(() => cancelled === 2);
  });

  test('a caller that goes away ends every node', async () => {
    const controller = new AbortController();
    let cancelled = false;
    const { answer, shards } = await start({
      a: async (_data, signal) => {
        await until(() => signal.aborted);
        cancelled = true;
      },
    });
    const asked = answer('block', 'a', {}, { signal: controller.signal });
    await until(() => shards.a?.packets.length === 1);
    controller.abort();

    await expect(asked).rejects.toMatchObject({ code: 'CANCELLED' });
    await until(() => cancelled);
  });
});

describe('a nested vDAG', () => {
  test('is one node', async () => {
    const inner = graphVdag('inner:1-a', [block('a'), block('b')], [edge('a', 'b')]);
    const outer = graphVdag(
      'outer:1-a',
      [{ label: 'sub', vdagUri: 'inner:1-a' }, block('c')],
      [edge('sub', 'c')],
    );
    const { answer } = await start({ a: text('a'), b: text('b'), c: text('c') }, inner, outer);

    expect(await answer('vdag', 'outer:1-a', '')).toEqual({ text: 'abc' });
  });

  test('that contains itself is refused with the way round', async () => {
    const one = graphVdag('one:1-a', [{ label: 'x', vdagUri: 'two:1-a' }]);
    const two = graphVdag('two:1-a', [{ label: 'y', vdagUri: 'one:1-a' }]);
    const { answer } = await start({}, one, two);

    await expect(answer('vdag', 'one:1-a', '')).rejects.toMatchObject({
      code: 'VDAG_CYCLE',
      details: { path: ['one:1-a', 'two:1-a', 'one:1-a'] },
    });
  });

  test('may be eight deep and no deeper', async () => {
    const chain = Array.from({ length: 9 }, (_, depth) =>
      graphVdag(`v${depth}:1-a`, [
        depth === 8 ? block('a') : { label: 'n', vdagUri: `v${depth + 1}:1-a` },
      ]),
    );
    const { answer } = await start({ a: () => 'deep' }, ...chain);

    expect(await answer('vdag', 'v1:1-a', '')).toBe('deep');
    await expect(answer('vdag', 'v0:1-a', '')).rejects.toMatchObject({ code: 'VDAG_CYCLE' });
  });
});

describe('a language model as a node', () => {
  const model = modelVdag(['shard']);

  test('takes a prompt or messages and gives text, tokens and usage', async () => {
    const { answer, invoke } = await start({ shard: () => 1 }, model);
    const expected = { text: row.text, tokens: row.tokens, finishReason: 'stop' };

    expect(await answer('vdag', 'tiny', row.prompt)).toMatchObject(expected);
    const events = await invoke('vdag', 'tiny', { messages: row.messages, temperature: 0 });
    expect(events.at(-1)).toMatchObject({ final: true, data: expected });
    const pieces = events.slice(0, -1).map(({ data }) => (data as { text: string }).text);
    expect(pieces.join('')).toBe(row.text);
  });

  test('is given its sampling by modelParameters', async () => {
    const outer = graphVdag('outer:1-a', [
      { label: 'm', vdagUri: model.uri, modelParameters: { maxTokens: 2, seed: 5 } },
    ]);
    const { answer, shards } = await start({ shard: () => 1 }, model, outer);

    expect(await answer('vdag', 'outer:1-a', { prompt: 'Hello!' })).toMatchObject({
      finishReason: 'length',
      usage: { completionTokens: 2 },
    });
    expect(shards.shard?.opens[0]?.sampling).toMatchObject({ seed: 5, temperature: 1 });
  });

  test.each([[{}], [{ prompt: 'a', messages: [] }], [{ prompt: 'a', temprature: 1 }], [7]])(
    'refuses %j with its problems',
    async (data) => {
      const { answer } = await start({ shard: () => 1 }, model);

      await expect(answer('vdag', 'tiny', data)).rejects.toMatchObject({
        code: 'REQUEST_INVALID',
        problems: [expect.anything()],
      });
    },
  );
});

describe('graphs that cannot run', () => {
  test.each([
    ['a cycle', [block('a'), block('b')], [edge('a', 'b'), edge('b', 'a')], 'VDAG_CYCLE'],
    ['an edge to nowhere', [block('a')], [edge('a', 'z')], 'VDAG_NODE_UNBOUND'],
    ['a node that is nothing', [{ label: 'a' }], [], 'VDAG_NODE_UNBOUND'],
    [
      'a policy that does not run yet',
      [block('a', { preprocessing: { policyRuleURI: 'p:1-a' } })],
      [],
      'UNSUPPORTED',
    ],
  ])('%s is refused before anything is called', async (_name, nodes, edges, code) => {
    const { answer, shards } = await start({ a: () => 1 }, graphVdag('v:1-a', nodes, edges));

    await expect(answer('vdag', 'v:1-a', {})).rejects.toMatchObject({ code });
    expect(shards.a?.packets).toEqual([]);
  });
});
