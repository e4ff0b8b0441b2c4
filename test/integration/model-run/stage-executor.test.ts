import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadOnnxRuntime } from '../../../runtime/model/onnx-runtime.ts';
import {
  outputHeadroomBytes,
  type StageExecutor,
  type StepResult,
} from '../../../runtime/model/stage.ts';
import { createStageExecutor } from '../../../runtime/model/stage-executor.ts';
import { loadStage } from '../../../runtime/model/stage-runner.ts';
import { answer, greedySampling, type TestStages, writeTestStages } from '../../support/stages.ts';
import { readGolden, tinyAssistantFolder } from '../../support/tiny-assistant.ts';

const golden = readGolden();
const maxSessions = 8;
const cutsByCount = { 1: [0], 2: [0, 4], 3: [0, 3, 6], 8: [0, 1, 2, 3, 4, 5, 6, 7] } as const;
type StageCount = keyof typeof cutsByCount;

const written = new Map<StageCount, TestStages>();
const running: StageExecutor[] = [];

beforeAll(async () => {
  for (const count of [1, 2, 3, 8] as const) {
    const stages = await writeTestStages(tinyAssistantFolder, cutsByCount[count], maxSessions);
    written.set(count, stages);
  }
});
afterAll(async () => {
  for (const stages of written.values()) await stages[Symbol.asyncDispose]();
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((executor) => executor.close()));
});

async function start(count: StageCount): Promise<StageExecutor[]> {
  const stages = written.get(count)?.stages ?? [];
  const executors = await Promise.all(
    stages.map((stage) => createStageExecutor({ ...stage, threads: 1 })),
  );
  running.push(...executors);
  return executors;
}

async function startWhole(): Promise<StageExecutor> {
  const [executor] = await start(1);
  if (!executor) throw new Error('no stage');
  return executor;
}

const requestOf = (row: (typeof golden.rows)[number], session: string) => ({
  session,
  promptTokens: row.promptTokens,
  maxTokens: row.maxTokens ?? row.tokens.length,
  ...(row.ignoreEos ? {} : { endToken: golden.eosTokenId }),
});
const row = (at: number) => golden.rows[at] as (typeof golden.rows)[number];
const ids = (...tokens: number[]) => new Uint8Array(Int32Array.from(tokens).buffer);
const opening = { promptTokens: [5], sampling: greedySampling };
const first = { session: 'a', position: 0, rows: 1, input: ids(5), sample: true };
const withCode = (code: string) => expect.objectContaining({ code });

describe('a chain of stages', () => {
  it.each([1, 2, 3] as const)('of %i gives every golden answer', async (count) => {
    const executors = await start(count);
    for (const [at, expected] of golden.rows.entries()) {
      const { tokens } = await answer(executors, requestOf(expected, `row-${at}`));
      expect(tokens).toEqual(expected.tokens);
    }
  });

  it('gives the bits of the whole model, however it is cut and the prompt is chunked', async () => {
    const sampling = { ...greedySampling, logprobs: 5 };
    const request = { ...requestOf(row(23), 'bits'), sampling };
    const whole = await answer(await start(1), request);

    expect(whole.top.length).toBeGreaterThan(5);
    for (const count of [2, 3, 8] as const) {
      expect(await answer(await start(count), request)).toEqual(whole);
    }
    const chunked = await answer(await start(3), { ...request, chunkRows: 7 });
    expect(chunked.tokens).toEqual(whole.tokens);
  });

  it('reports the log-probability gaps of the independent implementation', async () => {
    const executors = await start(2);
    const sampling = { ...greedySampling, logprobs: 5 };
    for (const [at, row] of golden.rows.entries()) {
      const { top } = await answer(executors, { ...requestOf(row, `row-${at}`), sampling });
      for (const [step, expected] of [
        [0, row.top5LogitsFirst],
        [row.top5LogitsAt, row.top5Logits],
      ] as const) {
        const logprobs = new Map(top[step]);
        const gap = (of: ReadonlyMap<number, number>, token: number) =>
          (of.get(expected[0]?.[0] ?? -1) ?? 0) - (of.get(token) ?? 0);
        for (const [token] of expected.slice(0, 3)) {
          expect(gap(logprobs, token)).toBeCloseTo(gap(new Map(expected), token), 3);
        }
      }
    }
  });
});

describe('sessions of one stage', () => {
  it('eight interleaved answer as each does alone', async () => {
    const executors = await start(2);
    const requests = golden.rows.slice(16, 24).map((row, at) => requestOf(row, `s${at}`));
    const alone = [];
    for (const request of requests) alone.push(await answer(executors, request));

    const together = requests.map((request) => answer(executors, request));
    expect(executors.map(({ openSessions }) => openSessions)).toEqual([8, 8]);
    expect(await Promise.all(together)).toEqual(alone);
    expect(executors.map(({ openSessions }) => openSessions)).toEqual([0, 0]);
  });

  it('find nothing of the session that had their slot before', async () => {
    const executor = await startWhole();
    const request = requestOf(row(6), 'again');
    const before = await answer([executor], request);
    for (const at of [27, 26, 25]) await answer([executor], requestOf(row(at), `other-${at}`));

    expect(await answer([executor], request)).toEqual(before);
  });

  it('sample by seed and position: a replay of the tokens so far goes on as the first run did', async () => {
    const executor = await startWhole();
    const sampling = { ...greedySampling, temperature: 2, repetitionPenalty: 1.1, seed: 42 };
    const request = { ...requestOf(row(28), 'sampled'), maxTokens: 30, sampling };
    const whole = await answer([executor], request);
    const replay = await answer([executor], {
      ...request,
      promptTokens: [...request.promptTokens, ...whole.tokens.slice(0, 12)],
      maxTokens: 18,
    });
    const otherSeed = await answer([executor], { ...request, sampling: { ...sampling, seed: 43 } });

    expect(await answer([executor], request)).toEqual(whole);
    expect(replay.tokens).toEqual(whole.tokens.slice(12));
    expect(otherSeed.tokens).not.toEqual(whole.tokens);
  });

  it('are refused when every slot is taken, and taken again when one is free', async () => {
    const executor = await startWhole();
    for (let at = 0; at < maxSessions; at++) executor.open(`s${at}`, opening);

    expect(() => executor.open('one-more', opening)).toThrow(withCode('BUSY'));
    expect(() => executor.open('s0', opening)).toThrow(withCode('SESSION_EXISTS'));
    executor.closeSession('s3');
    executor.closeSession('s3');
    executor.open('one-more', opening);
    expect(executor.openSessions).toBe(maxSessions);
  });
});

describe('a step', () => {
  it('is refused with its reason, and the session goes on as if it had not come', async () => {
    const executor = await startWhole();
    executor.open('a', opening);
    const expected = await executor.step(first);

    const refused = [
      [{ ...first, session: 'b' }, 'SESSION_UNKNOWN'],
      [first, 'FRAME_OUT_OF_ORDER'],
      [{ ...first, position: 2 }, 'FRAME_OUT_OF_ORDER'],
      [{ ...first, position: 1, rows: 2 }, 'TENSOR_MISMATCH'],
      [{ ...first, position: 1, rows: 0, input: ids() }, 'TENSOR_MISMATCH'],
      [{ ...first, position: 1, input: ids(-1) }, 'TENSOR_MISMATCH'],
      [{ ...first, position: 1, input: ids(768) }, 'TENSOR_MISMATCH'],
      [
        { ...first, position: 1, rows: 512, input: ids(...new Array<number>(512).fill(5)) },
        'CONTEXT_LENGTH_EXCEEDED',
      ],
    ] as const;
    for (const [step, code] of refused) {
      await expect(executor.step(step)).rejects.toEqual(withCode(code));
    }

    const next = await executor.step({ ...first, position: 1 });
    executor.closeSession('a');
    executor.open('a', opening);
    expect(tokenOf(await executor.step(first))).toBe(tokenOf(expected));
    expect(tokenOf(await executor.step({ ...first, position: 1 }))).toBe(tokenOf(next));
  });

  it('takes a view at any offset of a larger buffer', async () => {
    const executor = await startWhole();
    executor.open('a', opening);
    const buffer = new Uint8Array(64);
    buffer.set(ids(5), 13);
    const token = tokenOf(await executor.step({ ...first, input: buffer.subarray(13, 17) }));

    executor.open('b', opening);
    expect(tokenOf(await executor.step({ ...first, session: 'b' }))).toBe(token);
    expect(buffer.byteLength).toBe(64);
  });

  it('of a stage without a head leaves room for a header before its activations', async () => {
    const [executor] = await start(2);
    executor?.open('a', opening);
    const result = await executor?.step({ ...first, rows: 3, input: ids(5, 6, 7) });

    expect(result).toMatchObject({ type: 'activations', computeNs: expect.any(Number) });
    const { buffer } = result as { buffer: ArrayBuffer };
    expect(buffer.byteLength).toBe(outputHeadroomBytes + 3 * 192 * 4);
    expect([...new Uint8Array(buffer, 0, outputHeadroomBytes)].every((byte) => byte === 0)).toBe(
      true,
    );
    const activations = new Float32Array(buffer, outputHeadroomBytes);
    expect(activations.every((value) => Number.isFinite(value) && value !== 0)).toBe(true);
  });

  it('of a prefill chunk that is not the last chooses nothing', async () => {
    const executor = await startWhole();
    executor.open('a', opening);
    expect(await executor.step({ ...first, sample: false })).toMatchObject({ type: 'nothing' });
  });

  it('that waits is cancelled when its session closes; the one that runs ends', async () => {
    const executor = await startWhole();
    executor.open('a', opening);
    executor.open('b', { ...opening, promptTokens: [] });
    const long = { ...first, rows: 400, input: ids(...new Array<number>(400).fill(5)) };
    const runs = executor.step(long);
    const waits = [400, 401, 402].map((position) => executor.step({ ...first, position }));
    const other = executor.step({ ...first, session: 'b' });
    executor.closeSession('a');

    const ends = await Promise.allSettled([runs, ...waits]);
    expect(ends.slice(1).map((end) => end.status)).toEqual(['rejected', 'rejected', 'rejected']);
    for (const end of ends) {
      if (end.status === 'rejected') expect(end.reason).toEqual(withCode('CANCELLED'));
    }
    expect(await other).toMatchObject({ type: 'token' });
    executor.open('a', opening);
    expect(await executor.step(first)).toMatchObject({ type: 'token' });
  });
});

describe('a stage', () => {
  it('lets the step that runs end when it is closed, and refuses everything after', async () => {
    const executor = await startWhole();
    executor.open('a', opening);
    await executor.step(first);
    const long = { ...first, position: 1, rows: 500 };
    const runs = executor.step({ ...long, input: ids(...new Array<number>(500).fill(5)) });
    const settled = runs.then(
      () => 'ended',
      ({ code }) => code,
    );
    await setTimeout(20);
    await Promise.all([executor.close(), executor.close()]);

    expect(['ended', 'CANCELLED']).toContain(await settled);
    await expect(executor.step(first)).rejects.toEqual(withCode('CLOSED'));
    expect(() => executor.open('b', opening)).toThrow(withCode('CLOSED'));
    executor.closeSession('a');
    expect(executor.openSessions).toBe(0);
  });

  it('reports what an instance without a graph takes', async () => {
    const executor = await startWhole();
    expect(executor.emptyResidentBytes).toBeGreaterThan(2 ** 24);
    expect(executor.emptyResidentBytes).toBeLessThan(process.memoryUsage.rss() * 2);
  });

  it('whose thread crashes refuses what waits and what comes, and says so once', async () => {
    const stage = written.get(1)?.stages[0];
    if (!stage) throw new Error('no stage');
    const failures: unknown[] = [];
    const onFailure = (error: Error) => failures.push(error);
    const executor = await createStageExecutor({ ...stage, threads: 1, onFailure });
    executor.open('a', opening);
    const sampling = { ...greedySampling, repetitionPenalty: 2 };
    executor.open('b', { promptTokens: 5 as never, sampling });
    const waits = executor.step({ ...first, session: 'a' });

    await expect(waits).rejects.toEqual(withCode('INSTANCE_UNHEALTHY'));
    await expect(executor.step(first)).rejects.toEqual(withCode('INSTANCE_UNHEALTHY'));
    expect(() => executor.open('c', opening)).toThrow(withCode('INSTANCE_UNHEALTHY'));
    await executor.close();
    expect(failures).toEqual([withCode('INSTANCE_UNHEALTHY')]);
  });

  it('writes its cache in place: a step allocates its own output and nothing else', async () => {
    const [first] = written.get(2)?.stages ?? [];
    if (!first) throw new Error('no stage');
    const { graphPath, stage } = first;
    const runner = await loadStage(await loadOnnxRuntime(), graphPath, stage, { threads: 1 });
    runner.open(0, opening);
    const step = (position: number) =>
      runner.run({ slot: 0, position, rows: 1, input: Int32Array.of(5).buffer, sample: false });
    await step(0);
    const before = process.memoryUsage().arrayBuffers;
    for (const position of [1, 2, 3, 4]) await step(position);
    const grown = process.memoryUsage().arrayBuffers - before;
    await runner.release();

    // The binding's copies of the cache would be a megabyte a step.
    expect(grown).toBeLessThan(4 * 8_192);
  });
});

describe('loading a stage', () => {
  const load = (graphPath: string, change: object = {}) => {
    const stage = written.get(2)?.stages[0]?.stage;
    if (!stage) throw new Error('no stage');
    return createStageExecutor({ graphPath, stage: { ...stage, ...change }, threads: 1 });
  };
  const graphOf = (index: number) => written.get(2)?.stages[index]?.graphPath ?? '';
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aios-broken-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function damaged(change: (graph: Buffer) => Buffer): Promise<string> {
    const path = join(folder, 'stage.onnx');
    await writeFile(path, change(await readFile(graphOf(0))));
    return path;
  }

  it.each([
    ['a file that is not there', () => Promise.resolve(join(folder, 'nothing.onnx'))],
    ['bytes that are no graph', () => damaged(() => Buffer.from('hello'))],
    ['a truncated graph', () => damaged((graph) => graph.subarray(0, graph.length / 2))],
    ['a graph whose weights are not beside it', () => damaged((graph) => graph)],
    ['the graph of another stage', () => Promise.resolve(graphOf(1))],
  ])('refuses %s', async (_name, path) => {
    await expect(load(await path())).rejects.toEqual(withCode('MODEL_LOAD_FAILED'));
  });

  it('names every tensor that does not fit its description', async () => {
    const failure = load(graphOf(0), { keyValueHeads: 4, hiddenSize: 64 });
    await expect(failure).rejects.toMatchObject({ code: 'MODEL_LOAD_FAILED' });
    const { problems } = await failure.catch((error) => error);
    // Four layers, a key and a value each, past and present; and the hidden output.
    expect(problems).toHaveLength(17);
  });

  it('leaves the files beside the graph as they were', async () => {
    const weights = join(dirname(graphOf(0)), 'model.safetensors');
    const before = await readFile(weights);
    await (await load(graphOf(0))).close();
    expect((await readFile(weights)).equals(before)).toBe(true);
  });
});

const tokenOf = (result: StepResult) => (result.type === 'token' ? result.token : undefined);
