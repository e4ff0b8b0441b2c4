import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GraphBuilder } from '../../../runtime/model/onnx/graph-builder.ts';
import { float, integer, packed, string } from '../../../runtime/model/onnx/wire.ts';
import { loadOnnxRuntime } from '../../../runtime/model/onnx-runtime.ts';
import { temporaryFolder } from './workspace.ts';

test('fields are encoded as protobuf says', () => {
  expect([...integer(1, 150)]).toEqual([0x08, 0x96, 0x01]);
  expect([...integer(1, 0)]).toEqual([0x08, 0x00]);
  expect([...integer(2, -1)]).toEqual([0x10, ...Array(9).fill(0xff), 0x01]);
  expect([...integer(1, 2 ** 40)]).toEqual([0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20]);
  expect([...integer(20, 1)]).toEqual([0xa0, 0x01, 0x01]);
  expect([...string(2, 'é')]).toEqual([0x12, 0x02, 0xc3, 0xa9]);
  expect([...packed(4, [3, 270, 86942])]).toEqual([0x22, 6, 3, 0x8e, 0x02, 0x9e, 0xa7, 0x05]);
  expect([...float(2, 1)]).toEqual([0x15, 0, 0, 0x80, 0x3f]);
});

test('ONNX Runtime reads a graph over weights at an odd offset of a file beside it', async () => {
  const folder = await temporaryFolder();
  const weights = Float32Array.of(1, 2, 3, 4, 5, 6);
  await writeFile(
    join(folder, 'w.bin'),
    Buffer.concat([Buffer.alloc(13), new Uint8Array(weights.buffer)]),
  );
  const graph = new GraphBuilder('test');
  const rows = graph.input({ name: 'x', type: 'float32', shape: ['rows', 2] });
  const weight = graph.initializer({
    name: 'w',
    type: 'float32',
    shape: [3, 2],
    data: { location: 'w.bin', offsetBytes: 13, lengthBytes: 24 },
  });
  const transposed = { transB: { i: 1 }, alpha: { f: 0.5 } };
  const product = graph.value('FusedMatMul', 'p', [rows, weight], transposed, 'com.microsoft');
  graph.value('Add', 'y', [product, graph.floats('bias', [0, 0, 100])]);
  graph.output({ name: 'y', type: 'float32', shape: ['rows', 3] });
  await writeFile(join(folder, 'g.onnx'), graph.encode());

  const runtime = await loadOnnxRuntime();
  const loaded = await runtime.loadGraph(join(folder, 'g.onnx'), { threads: 1 });
  const output = new Float32Array(6);
  await loaded.run(
    { x: runtime.float32(Float32Array.of(2, 0, 0, 2), [2, 2]) },
    { y: runtime.float32(output, [2, 3]) },
  );

  expect(loaded.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['rows', 2] }]);
  expect([...output]).toEqual([1, 3, 105, 2, 4, 106]);
  await loaded.release();
});

test('an initializer that several nodes read is written once', () => {
  const graph = new GraphBuilder('test');
  graph.floats('w', [1]);
  const once = graph.encode().length;

  graph.floats('w', [1]);

  expect(graph.encode()).toHaveLength(once);
});
