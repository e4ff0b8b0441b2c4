import type { SerializedError } from '../../../sdk/errors.ts';
import type { OnnxArrays } from './onnx-shard.ts';

export interface GraphWorkerData {
  readonly graphPath: string;
  readonly threads: number;
}

export type ToGraphWorker =
  | { readonly type: 'run'; readonly id: number; readonly inputs: OnnxArrays }
  | { readonly type: 'close' };

export type FromGraphWorker =
  | { readonly type: 'ready'; readonly emptyResidentBytes: number }
  | { readonly type: 'load-failed'; readonly error: SerializedError }
  | { readonly type: 'done'; readonly id: number; readonly outputs: OnnxArrays }
  | { readonly type: 'failed'; readonly id: number; readonly error: SerializedError };
