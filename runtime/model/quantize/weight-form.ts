import type { WeightDtype } from '../../../sdk/spec/plan.ts';
import type { CheckpointTensor } from '../checkpoint.ts';

/** Numbers in blocks along a row that share one scale: symmetric, two codes a byte or one. */
export interface BlockForm {
  readonly type: 'blocks';
  readonly bits: 4 | 8;
  /** Numbers a scale is shared by. */
  readonly blockSize: number;
}

/** How a tensor's numbers lie in a shard's file. */
export type WeightForm =
  | { readonly type: 'as-is' }
  | { readonly type: 'float'; readonly dtype: 'F32' | 'F16' }
  | BlockForm;

/** What {@link formOf} is asked to make of a model. */
export interface Conversion {
  readonly dtype: WeightDtype;
  /** Of `int8` and `int4`. */
  readonly blockSize: number;
}

/** Larger ones take less memory, and lose more: weights and activations are both rounded by block. */
export const defaultBlockSize = 32;
export const blockSizes = [16, 32, 64, 128, 256] as const;

export const scaleBytes = 4;

/**
 * Norms and biases stay as they are: they are small, and everything goes through them. A table of embeddings has eight
 * bits also in an `int4` model: a row is looked up, not multiplied by, so its size costs no time; where the head
 * multiplies by the same table, it does so by those eight bits, and the bytes are in the file once.
 */
export function formOf(
  { shape }: Pick<CheckpointTensor, 'shape'>,
  isEmbedding: boolean,
  { dtype, blockSize }: Conversion,
): WeightForm {
  if (shape.length !== 2) return { type: 'as-is' };
  if (dtype === 'fp32') return { type: 'float', dtype: 'F32' };
  if (dtype === 'fp16') return { type: 'float', dtype: 'F16' };
  return { type: 'blocks', bits: dtype === 'int4' && !isEmbedding ? 4 : 8, blockSize };
}

/** Blocks of a row; the last is filled up with zeros. */
export const blocksOf = (inputs: number, { blockSize }: BlockForm) => Math.ceil(inputs / blockSize);

/** Bytes of a row's codes. */
export const codeBytesOf = (inputs: number, form: BlockForm) =>
  (blocksOf(inputs, form) * form.blockSize * form.bits) / 8;

/** Bytes of a row's scales. */
export const scaleBytesOf = (inputs: number, form: BlockForm) =>
  blocksOf(inputs, form) * scaleBytes;

/**
 * Bytes of a row in memory, ready to be multiplied by. Measured with ONNX Runtime 1.30 on x86: the codes once,
 * rearranged, and the scales three times, one of them in the file's own pages.
 */
export const residentRowBytes = (inputs: number, form: BlockForm) =>
  codeBytesOf(inputs, form) + 3 * scaleBytesOf(inputs, form);
