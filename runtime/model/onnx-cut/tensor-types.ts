import type { OnnxValueRef } from './onnx-file.ts';
import { tensorBytes } from './onnx-file.ts';

/** `TensorProto.DataType` → the name that packets and ONNX Runtime use. */
export const dtypeNames: Readonly<Record<number, string>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  16: 'bfloat16',
  21: 'uint4',
  22: 'int4',
};

const dataTypes = new Map(
  Object.entries(dtypeNames).map(([number, name]) => [name, Number(number)]),
);

export interface TensorType {
  /** `TensorProto.DataType`. */
  readonly dataType: number;
  /** Absent: not even the rank is known. */
  readonly shape?: OnnxValueRef['shape'];
}

export const dataTypeOf = (dtype: string) => dataTypes.get(dtype);

/** Taken for a dimension that is known only when the graph runs: one item of a batch, else this many. */
const assumedSize = 128;

/** @returns bytes to expect: what is not known is assumed */
export function expectedBytes({ dataType, shape }: TensorType): number {
  const sizes = (shape ?? [null, null, null]).map((size, index) =>
    typeof size === 'number' ? size : index === 0 ? 1 : assumedSize,
  );
  return tensorBytes(dataType, sizes) ?? sizes.reduce((product, size) => product * size, 8);
}
