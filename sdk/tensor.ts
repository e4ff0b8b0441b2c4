import { AiosError } from './errors.ts';

/** Bytes per element. */
export const tensorDtypes = {
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int8: 1,
  uint8: 1,
  bool: 1,
} as const;
export type TensorDtype = keyof typeof tensorDtypes;

/** A dense, row-major, little-endian array. */
export interface Tensor {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** `byteLength` = product of the shape × bytes per element. May be a view. */
  readonly data: Uint8Array;
}

/** @returns elements a shape holds; the product of its sizes, 1 for a scalar. */
export const elementCount = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/**
 * @throws {AiosError} TENSOR_MISMATCH - a size is not a non-negative integer, or the bytes do not fit the shape
 */
export function checkTensor({ dtype, shape, data }: Tensor): void {
  const width: number | undefined = tensorDtypes[dtype];
  const bad = shape.find((size) => !Number.isSafeInteger(size) || size < 0);
  if (width === undefined || bad !== undefined || elementCount(shape) * width !== data.byteLength) {
    throw new AiosError(
      'TENSOR_MISMATCH',
      `a ${dtype} tensor of shape [${shape.join(', ')}] does not hold ${data.byteLength} bytes.`,
    );
  }
}
