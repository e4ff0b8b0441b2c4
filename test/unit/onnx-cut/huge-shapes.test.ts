import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeOnnxModel, type OnnxGraph } from '../../../runtime/model/onnx/model.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { splitOnnx } from '../../support/onnx-split.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-huge-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A chain of Relus over one shape. */
function chain(shape: readonly (number | string)[], length: number): Uint8Array {
  const name = (index: number): string =>
    index === 0 ? 'x' : index === length ? 'y' : `h${index}`;
  const graph: OnnxGraph = {
    name: 'chain',
    nodes: Array.from({ length }, (_, index) => ({
      ...{ name: `relu${index}`, operator: 'Relu', domain: '' as const, attributes: {} },
      ...{ inputs: [name(index)], outputs: [name(index + 1)] },
    })),
    initializers: [],
    inputs: [{ name: 'x', type: 'float32', shape }],
    outputs: [{ name: 'y', type: 'float32', shape }],
  };
  return encodeOnnxModel(graph);
}

describe('a graph whose tensors would not fit any memory', () => {
  test.each<[string, readonly (number | string)[]]>([
    ['2⁴⁰ numbers', [2 ** 20, 2 ** 20]],
    ['2⁶⁶ numbers', [2 ** 31, 2 ** 31, 16]],
    ['as many as a dimension can be', [2 ** 52, 2 ** 52, 2 ** 52]],
    ['free dimensions', ['a', 'b', 2 ** 50]],
    ['thousands of dimensions', Array.from({ length: 20_000 }, () => 1)],
  ])('%s is split, or refused in few words, and nothing is made of that size', async (_, shape) => {
    await writeFile(join(folder, 'model.onnx'), chain(shape, 4));
    const before = process.memoryUsage().arrayBuffers;

    const fault = await splitOnnx(join(folder, 'model.onnx'), join(folder, 'out'), {
      shards: 2,
    }).then(
      () => undefined,
      (error) => AiosError.from(error),
    );

    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(256 * 2 ** 20);
    if (fault) {
      expect([fault.message, fault.code]).toEqual([
        fault.message,
        expect.stringMatching(/^(CHECKPOINT_INVALID|SPLIT_INFEASIBLE|SPLIT_PLAN_INVALID)$/),
      ]);
      expect(fault.message.length).toBeLessThan(40_000);
      expect(await readdir(folder)).not.toContain('out');
    }
    await rm(join(folder, 'out'), { recursive: true, force: true });
  });
});
