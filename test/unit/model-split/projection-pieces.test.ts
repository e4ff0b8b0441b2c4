import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { projectionPieces } from '../../../runtime/model/decoder/projection-pieces.ts';
import { GraphBuilder } from '../../../runtime/model/onnx/graph-builder.ts';
import { loadOnnxRuntime } from '../../../runtime/model/onnx-runtime.ts';
import { createRandom } from '../../support/checkpoint.ts';
import { temporaryFolder } from './workspace.ts';

const projection = (outputs: number, inputs: number, firstRow = 0) => ({
  ...{ name: 'head', tensor: 'head.weight', firstRow, outputs, inputs },
});

it('pieces hold every output once, in order, and no more bytes than they may', () => {
  const sizes = fc.record({
    outputs: fc.integer({ min: 1, max: 300_000 }),
    inputs: fc.integer({ min: 1, max: 8192 }),
    firstRow: fc.nat(1000),
    maxBytes: fc.integer({ min: 1, max: 2 ** 30 }),
  });
  fc.assert(
    fc.property(sizes, ({ outputs, inputs, firstRow, maxBytes }) => {
      const pieces = projectionPieces(projection(outputs, inputs, firstRow), maxBytes);
      let next = firstRow;
      for (const piece of pieces) {
        expect(piece.firstRow).toBe(next);
        expect((piece.firstRow - firstRow) % 256).toBe(0);
        expect(piece.outputs <= 256 || piece.outputs * inputs * 4 <= maxBytes).toBe(true);
        next += piece.outputs;
      }
      expect(next).toBe(firstRow + outputs);
    }),
  );
});

it('a map that is small stays as it is', () => {
  const small = projection(768, 768);
  expect(projectionPieces(small)).toEqual([small]);
  expect(projectionPieces(projection(151_936, 896))).toHaveLength(9);
});

it('a product in pieces has the bits of the whole, at every number of rows', async () => {
  const folder = await temporaryFolder();
  const [outputs, inputs] = [1003, 96];
  const random = createRandom(7);
  const numbers = (count: number) => Float32Array.from({ length: count }, () => random() - 0.5);
  const weights = numbers(outputs * inputs);
  await writeFile(join(folder, 'w.bin'), new Uint8Array(weights.buffer));
  const graph = new GraphBuilder('pieces');
  const x = graph.input({ name: 'x', type: 'float32', shape: ['b', 1, inputs] });
  const product = (output: string, { firstRow, outputs: rows }: typeof whole) => {
    const weight = graph.initializer({
      name: `w_${output}`,
      type: 'float32',
      shape: [rows, inputs],
      data: {
        location: 'w.bin',
        offsetBytes: firstRow * inputs * 4,
        lengthBytes: rows * inputs * 4,
      },
    });
    const transposed = { transB: { i: 1 } };
    return graph.value('FusedMatMul', output, [x, weight], transposed, 'com.microsoft');
  };
  const whole = projection(outputs, inputs);
  product('whole', whole);
  const parts = projectionPieces(whole, 1).map((piece, at) => product(`part_${at}`, piece));
  graph.value('Concat', 'joined', parts, { axis: { i: 2 } });
  for (const name of ['whole', 'joined']) {
    graph.output({ name, type: 'float32', shape: ['b', 1, outputs] });
  }
  await writeFile(join(folder, 'g.onnx'), graph.encode());

  const runtime = await loadOnnxRuntime();
  const loaded = await runtime.loadGraph(join(folder, 'g.onnx'), { threads: 1 });
  for (const rows of [1, 2, 5, 6, 7, 16]) {
    const [a, b] = [new Float32Array(rows * outputs), new Float32Array(rows * outputs)];
    const shape = [rows, 1, outputs];
    await loaded.run(
      { x: runtime.float32(numbers(rows * inputs), [rows, 1, inputs]) },
      { whole: runtime.float32(a, shape), joined: runtime.float32(b, shape) },
    );
    expect(a.some((value) => value !== 0)).toBe(true);
    expect(Buffer.from(b.buffer).equals(Buffer.from(a.buffer))).toBe(true);
  }
  await loaded.release();
});
