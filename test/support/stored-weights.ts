import { readFileSync } from 'node:fs';
import type { OnnxTensorRef } from '../../runtime/model/onnx-cut/onnx-file.ts';
import { readOnnxFile } from '../../runtime/model/onnx-cut/read-model.ts';
import type { Problem } from '../../sdk/errors.ts';
import type { TestTensor } from './checkpoint.ts';
import { dequantize } from './dequantize.ts';

/**
 * The matrices of a model as a whole stage's graph says they are stored: codes are turned back into numbers, halves are
 * widened.
 *
 * @param tensors - as the checkpoint has them; what is not stored as a matrix stays as it is
 */
export async function readStoredWeights(
  graphPath: string,
  tensors: ReadonlyMap<string, TestTensor>,
): Promise<ReadonlyMap<string, TestTensor>> {
  const problems: Problem[] = [];
  const file = await readOnnxFile(graphPath, problems);
  if (!file) throw new Error(JSON.stringify(problems));
  const found = new Map(file.graph.initializers.map((one) => [one.name, one]));
  const stored = new Map<string, TestTensor>();
  for (const [name, tensor] of tensors) {
    stored.set(name, tensor.shape.length === 2 ? matrixOf(name, tensor, found) : tensor);
  }
  return stored;
}

function matrixOf(
  name: string,
  { shape }: TestTensor,
  found: ReadonlyMap<string, OnnxTensorRef>,
): TestTensor {
  const [, inputs = 0] = shape;
  const table = found.get(`${name}:table`);
  if (table) return { shape, values: blocks(table, found.get(`${name}:table_scales`), inputs) };
  const whole = found.get(name);
  if (whole) return { shape, values: floats(whole) };
  // Several projections' rows, an initializer each.
  const parts = [...found.keys()]
    .flatMap((key) =>
      key.startsWith(`${name}:`) ? (/^\d+/.exec(key.slice(name.length + 1)) ?? []) : [],
    )
    .map(Number);
  const values = [...new Set(parts)]
    .sort((a, b) => a - b)
    .flatMap((firstRow) => {
      const codes = found.get(`${name}:${firstRow}:codes`);
      const part = found.get(`${name}:${firstRow}`);
      if (part) return [...floats(part)];
      if (!codes) throw new Error(`no ${name}`);
      return [...blocks(codes, found.get(`${name}:${firstRow}:scales`), inputs)];
    });
  return { shape, values: Float32Array.from(values) };
}

function bytesOf({ name, place }: OnnxTensorRef): Uint8Array {
  if (!place) throw new Error(`'${name}' lies in the graph`);
  const { offsetBytes, lengthBytes } = place;
  return new Uint8Array(
    readFileSync(place.file.path).subarray(offsetBytes, offsetBytes + lengthBytes),
  );
}

function floats(tensor: OnnxTensorRef): Float32Array {
  const bytes = bytesOf(tensor);
  if (tensor.dataType === 1) return new Float32Array(bytes.buffer);
  if (tensor.dataType !== 10) throw new Error(`'${tensor.name}' has type ${tensor.dataType}`);
  return Float32Array.from(new Uint16Array(bytes.buffer), (half) => {
    const [exponent, fraction] = [(half >> 10) & 31, (half & 1023) / 1024];
    const size = exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
    return half & 0x8000 ? -size : size;
  });
}

function blocks(
  codes: OnnxTensorRef,
  scales: OnnxTensorRef | undefined,
  inputs: number,
): Float32Array {
  if (!scales) throw new Error(`no scales of '${codes.name}'`);
  const [rows = 0, count = 0] = scales.dims;
  const bytes = bytesOf(codes);
  const blockBytes = bytes.length / (rows * count);
  // Bits and block size are the operator's: the smallest block that covers a row with as many blocks.
  const bits = blockBytes * 8 * count >= inputs * 8 ? 8 : 4;
  const blockSize = (blockBytes * 8) / bits;
  const back = dequantize({
    ...{
      codes: bytes,
      scales: new Float32Array(bytesOf(scales).buffer),
      rows,
      inputs,
      bits,
      blockSize,
    },
  });
  return Float32Array.from(back);
}
