import * as library from 'onnxruntime-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createOnnxRuntime, type OnnxLibrary } from '../../../runtime/model/onnx-runtime.ts';
import { loadStage } from '../../../runtime/model/stage-runner.ts';
import { greedySampling, type TestStages, writeTestStages } from '../../support/stages.ts';
import { readGolden, tinyAssistantFolder } from '../../support/tiny-assistant.ts';

type Run = library.InferenceSession['run'];
type Fetches = Record<string, library.Tensor | null>;

/** The library with another way to run: what a later release of it may do. */
function withRun(
  run: (own: Run, inputs: library.InferenceSession.FeedsType, outputs: Fetches) => Promise<unknown>,
) {
  const asked: string[][] = [];
  const changed: OnnxLibrary = {
    Tensor: library.Tensor,
    InferenceSession: {
      async create(...options: Parameters<typeof library.InferenceSession.create>) {
        const session = await library.InferenceSession.create(...options);
        const own = session.run.bind(session);
        session.run = ((inputs: library.InferenceSession.FeedsType, outputs: Fetches) => {
          asked.push(Object.keys(outputs));
          return run(own, inputs, outputs);
        }) as Run;
        return session;
      },
    } as unknown as OnnxLibrary['InferenceSession'],
  };
  return { changed, asked };
}

const isOurs = (outputs: Fetches) => Object.values(outputs).includes(null);
const plain = (outputs: Fetches) =>
  Object.fromEntries(Object.entries(outputs).filter(([, tensor]) => tensor !== null));

const golden = readGolden().rows[0]!;
let stages: TestStages;
beforeAll(async () => {
  stages = await writeTestStages(tinyAssistantFolder, [0], 1);
});
afterAll(() => stages[Symbol.asyncDispose]());

async function answer(from: OnnxLibrary): Promise<number[]> {
  const [{ graphPath, stage }] = stages.stages as [TestStages['stages'][number]];
  const runner = await loadStage(await createOnnxRuntime(from), graphPath, stage, { threads: 1 });
  runner.open(0, { promptTokens: golden.promptTokens, sampling: greedySampling });
  const tokens: number[] = [];
  let position = 0;
  let chunk: readonly number[] = golden.promptTokens;
  while (tokens.length < golden.tokens.length) {
    const input = Int32Array.from(chunk).buffer;
    const result = await runner.run({ slot: 0, position, rows: chunk.length, input, sample: true });
    if (result.type !== 'token') throw new Error('no token');
    tokens.push(result.token);
    position += chunk.length;
    chunk = [result.token];
  }
  await runner.release();
  return tokens;
}

it('the library as it is copies nothing: every run asks for the output that stops it', async () => {
  const { changed, asked } = withRun((own, inputs, outputs) => own(inputs, outputs));
  expect(await answer(changed)).toEqual(golden.tokens);
  expect(asked.every((names) => names.includes('aios_copy_barrier'))).toBe(true);
});

it('a library that says it in other words copies nothing either', async () => {
  const { changed, asked } = withRun(async (own, inputs, outputs) => {
    try {
      return await own(inputs, outputs);
    } catch {
      throw new TypeError('this value is no tensor');
    }
  });
  expect(await answer(changed)).toEqual(golden.tokens);
  expect(asked.every((names) => names.includes('aios_copy_barrier'))).toBe(true);
});

it.each<
  [
    string,
    (own: Run, inputs: library.InferenceSession.FeedsType, outputs: Fetches) => Promise<unknown>,
  ]
>([
  [
    'refuses the extra output before it computes',
    async (own, inputs, outputs) => {
      if (isOurs(outputs)) throw new Error('sequences are not supported');
      return own(inputs, outputs);
    },
  ],
  ['takes the extra output', (own, inputs, outputs) => own(inputs, plain(outputs))],
])('a library that %s is used as its manual says', async (_what, run) => {
  const { changed, asked } = withRun(run);
  expect(await answer(changed)).toEqual(golden.tokens);
  expect(asked.slice(1).some((names) => names.includes('aios_copy_barrier'))).toBe(false);
});

it('a library that cannot even load the trial graph is used as its manual says', async () => {
  const { changed, asked } = withRun((own, inputs, outputs) => own(inputs, outputs));
  const { create } = changed.InferenceSession;
  let opened = 0;
  Object.assign(changed.InferenceSession, {
    create: (...options: Parameters<typeof create>) => {
      opened += 1;
      if (opened === 1) throw new Error('no sequences here');
      return create(...options);
    },
  });
  expect(await answer(changed)).toEqual(golden.tokens);
  expect(asked.some((names) => names.includes('aios_copy_barrier'))).toBe(false);
});

it('a run that really failed is not taken for a complete one', async () => {
  let runs = 0;
  const { changed } = withRun(async (own, inputs, outputs) => {
    runs += 1;
    if (runs > 3) throw new Error('out of memory');
    return own(inputs, outputs);
  });
  await expect(answer(changed)).rejects.toThrow('out of memory');
});
