import type { SerializedError } from '../../sdk/errors.ts';
import type { StageExecutorOptions, StageSessionOptions, StepResult } from './stage.ts';
import type { WaitingStep } from './stage-scheduler.ts';

/** What the worker thread is started with. */
export type StageWorkerData = Omit<StageExecutorOptions, 'onFailure'>;

/** A session is the number that the executor gave it; numbers are not used twice. */
export type ToStageWorker =
  | {
      readonly type: 'open';
      readonly session: number;
      readonly options: Omit<StageSessionOptions, 'shared'>;
      readonly shared?: { readonly session: number; readonly tokens: number };
    }
  | { readonly type: 'step'; readonly session: number; readonly step: WaitingStep }
  | { readonly type: 'close-session'; readonly session: number; readonly keep: boolean }
  | { readonly type: 'close' };

/** Steps that were computed at once, and where the stage stands after. */
export interface BatchEnd {
  readonly type: 'batch-end';
  readonly kind: 'chunk' | 'decode';
  readonly computeNs: number;
  readonly ends: readonly StepEnd[];
  /** Since the start. */
  readonly kvMoves: number;
  /** Outputs copied out of a batch. */
  readonly outputCopies: number;
}

export type StepEnd =
  | { readonly id: number; readonly result: StepResult }
  | { readonly id: number; readonly error: SerializedError };

export type FromStageWorker =
  | { readonly type: 'ready'; readonly emptyResidentBytes: number }
  | { readonly type: 'load-failed'; readonly error: SerializedError }
  | { readonly type: 'step-failed'; readonly id: number; readonly error: SerializedError }
  | BatchEnd;
