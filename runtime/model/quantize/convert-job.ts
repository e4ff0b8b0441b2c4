import type { FloatType } from './floats.ts';
import { scaleBytesOf, type WeightForm } from './weight-form.ts';
import { rowsOf, type StoredTensor, storedRowBytes } from './weight-layout.ts';

/** Rows of one tensor, from the checkpoint's file into a shard's. Small enough to be sent to a thread. */
export interface ConvertJob {
  /** `TENSOR@FIRST_ROW`, in a shard. */
  readonly id: string;
  readonly shard: number;
  readonly tensor: string;
  readonly firstRow: number;
  readonly rows: number;
  readonly inputs: number;
  readonly form: WeightForm;
  readonly source: {
    readonly path: string;
    readonly dtype: FloatType;
    readonly offsetBytes: number;
    readonly lengthBytes: number;
  };
  readonly target: {
    readonly path: string;
    readonly values: FileRange;
    readonly scales?: FileRange;
  };
  /** Of what an earlier split wrote there: kept, if that is what is there. */
  readonly digest?: string;
}

export interface FileRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export interface ConvertedChunk {
  readonly id: string;
  /** SHA-256 of the values' bytes and then the scales'. */
  readonly digest: string;
  /** Whether it was there already. */
  readonly kept: boolean;
}

/** Of the checkpoint, at most, unless one row is longer: config.json allows 2^24 numbers. */
const chunkBytes = 4 * 2 ** 20;

/** Jobs for one tensor of a shard. */
export function* jobsOf(
  shard: number,
  { source, form, values, scales }: StoredTensor,
  path: string,
): Generator<ConvertJob> {
  const { rows, inputs } = rowsOf(source);
  const { lengthBytes } = source;
  const sourceRowBytes = lengthBytes / rows;
  const valueBytes = storedRowBytes({ rows, inputs, lengthBytes }, form);
  const scaleRowBytes = form.type === 'blocks' ? scaleBytesOf(inputs, form) : 0;
  const chunkRows = Math.max(1, Math.floor(chunkBytes / sourceRowBytes));
  const range = (data: FileRange, rowBytes: number, firstRow: number, count: number) => ({
    offsetBytes: data.offsetBytes + firstRow * rowBytes,
    lengthBytes: count * rowBytes,
  });
  for (let firstRow = 0; firstRow < rows; firstRow += chunkRows) {
    const count = Math.min(chunkRows, rows - firstRow);
    yield {
      ...{ id: `${shard}/${source.name}@${firstRow}`, shard, tensor: source.name },
      ...{ firstRow, rows: count, inputs, form },
      source: {
        path: source.file.path,
        dtype: source.dtype as FloatType,
        ...range(source, sourceRowBytes, firstRow, count),
      },
      target: {
        path,
        values: range(values, valueBytes, firstRow, count),
        ...(scales ? { scales: range(scales, scaleRowBytes, firstRow, count) } : {}),
      },
    };
  }
}
