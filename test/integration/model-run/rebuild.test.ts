import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outputHeadroomBytes, type StageExecutor } from '../../../runtime/model/stage.ts';
import { createStageExecutor } from '../../../runtime/model/stage-executor.ts';
import { greedySampling, type TestStages, writeTestStages } from '../../support/stages.ts';
import { readGolden, tinyAssistantFolder } from '../../support/tiny-assistant.ts';

const [question] = readGolden().rows;
if (!question) throw new Error('no golden rows');
const { promptTokens, tokens } = question;
const shown = tokens.slice(0, -1);

let stages: TestStages;
let executor: StageExecutor;
beforeAll(async () => {
  stages = await writeTestStages(tinyAssistantFolder, [0, 6], 4);
  const [first] = stages.stages;
  if (!first) throw new Error('no stage');
  executor = await createStageExecutor({ ...first, threads: 1 });
});
afterAll(async () => {
  await executor.close();
  await stages[Symbol.asyncDispose]();
});

/** What the stage hands on for the last of the steps, each of some tokens. */
async function lastActivations(session: string, steps: readonly (readonly number[])[]) {
  executor.open(session, { promptTokens, sampling: greedySampling });
  let position = 0;
  let last = new Float32Array();
  for (const step of steps) {
    const input = new Uint8Array(Int32Array.from(step).buffer);
    const result = await executor.step({
      ...{ session, position, rows: step.length, input, sample: false },
    });
    if (result.type !== 'activations') throw new Error(`a ${result.type}`);
    const rows = new Float32Array(result.buffer.slice(outputHeadroomBytes));
    last = rows.slice(-rows.length / step.length);
    position += step.length;
  }
  executor.closeSession(session);
  return last;
}

/** As an answer is computed at first: its prompt, then token by token. */
const asDecoded = [promptTokens, ...shown.map((token) => [token])];

describe('a lost shard’s cache, computed anew', () => {
  it('in the same steps has the same bits', async () => {
    const before = await lastActivations('before', asDecoded);

    expect(await lastActivations('again', asDecoded)).toEqual(before);
  });

  it('in one piece has the same numbers but for the last bits: faster, and not what is done', async () => {
    const before = await lastActivations('steps', asDecoded);
    const inOnePiece = await lastActivations('piece', [[...promptTokens, ...shown]]);

    const scale = Math.max(...before.map(Math.abs));
    const gaps = inOnePiece.map((value, at) => Math.abs(value - (before[at] ?? Number.NaN)));
    expect(Math.max(...gaps) / scale).toBeLessThan(1e-5);
  });
});
