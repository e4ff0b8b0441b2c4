import type { SerializedError } from '../../../sdk/errors.ts';
import type { OnnxArrays } from './onnx-shard.ts';

export interface GraphWorkerData {
  readonly graphPath: string;
  readonly threads: number;
}

/**
 * Of one request, in memory that both threads see. It leaves `waiting` once: either the worker begins it, or whoever asked
 * drops it.
 */
export const runStates = { waiting: 0, running: 1, dropped: 2 } as const;

export type ToGraphWorker =
  | {
      readonly type: 'run';
      readonly id: number;
      readonly inputs: OnnxArrays;
      /** One of `runStates`. */
      readonly state: Int32Array;
    }
  | { readonly type: 'close' };

export type FromGraphWorker =
  | { readonly type: 'ready'; readonly emptyResidentBytes: number }
  | { readonly type: 'load-failed'; readonly error: SerializedError }
  | {
      readonly type: 'done';
      readonly id: number;
      readonly outputs: OnnxArrays;
      readonly computeNs: number;
    }
  /** It was dropped before its turn came. */
  | { readonly type: 'skipped'; readonly id: number }
  | { readonly type: 'failed'; readonly id: number; readonly error: SerializedError };
