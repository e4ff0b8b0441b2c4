import type { CheckpointTensor } from '../checkpoint.ts';
import type { ExternalData } from '../onnx/model.ts';
import { floatBytes } from './floats.ts';
import { codeBytesOf, scaleBytesOf, type WeightForm } from './weight-form.ts';

/** So that a tensor starts on a cache line. */
const alignmentBytes = 64;

/** A tensor of the checkpoint, and where a shard's file holds it. */
export interface StoredTensor {
  readonly source: CheckpointTensor;
  readonly form: WeightForm;
  /** Numbers, or codes. */
  readonly values: ExternalData;
  /** Of a form in blocks. */
  readonly scales?: ExternalData;
}

export interface WeightLayout {
  readonly tensors: readonly StoredTensor[];
  readonly fileBytes: number;
}

/** Rows of a tensor as [rows, inputs]; one that is no matrix is a single row. */
export function rowsOf({ shape }: Pick<CheckpointTensor, 'shape'>): {
  readonly rows: number;
  readonly inputs: number;
} {
  const [rows = 1, inputs = 1] = shape;
  return shape.length === 2 ? { rows, inputs } : { rows: 1, inputs: rows };
}

/** Bytes of one row in the shard's file. */
export function storedRowBytes(
  { inputs, lengthBytes, rows }: { inputs: number; rows: number; lengthBytes: number },
  form: WeightForm,
): number {
  if (form.type === 'as-is') return lengthBytes / rows;
  return form.type === 'float' ? inputs * floatBytes[form.dtype] : codeBytesOf(inputs, form);
}

/** Places tensors one after the other in `location`, each in the form that is chosen for it. */
export function layOut(
  location: string,
  tensors: readonly CheckpointTensor[],
  formOf: (tensor: CheckpointTensor) => WeightForm,
): WeightLayout {
  let end = 0;
  const place = (lengthBytes: number): ExternalData => {
    const offsetBytes = Math.ceil(end / alignmentBytes) * alignmentBytes;
    end = offsetBytes + lengthBytes;
    return { location, offsetBytes, lengthBytes };
  };
  const stored = tensors.map((source): StoredTensor => {
    const form = formOf(source);
    const { rows, inputs } = rowsOf(source);
    const { lengthBytes } = source;
    const values = place(rows * storedRowBytes({ rows, inputs, lengthBytes }, form));
    if (form.type !== 'blocks') return { source, form, values };
    return { source, form, values, scales: place(rows * scaleBytesOf(inputs, form)) };
  });
  return { tensors: stored, fileBytes: end };
}
