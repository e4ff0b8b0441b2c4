import type { SerializedError } from '../../sdk/errors.ts';
import type { StageExecutorOptions, StageSessionOptions, StepResult } from './stage.ts';
import type { SlotStep } from './stage-runner.ts';

/** What the worker thread is started with. */
export interface StageWorkerData extends Omit<StageExecutorOptions, 'onFailure'> {
  /**
   * int32 [maxSessions]: counts up when a slot is taken or freed. A step that was queued under an older number is
   * skipped, so that a cancel does not have to wait for what it cancels.
   */
  readonly generations: SharedArrayBuffer;
}

export type ToStageWorker =
  | { readonly type: 'open'; readonly slot: number; readonly options: StageSessionOptions }
  | {
      readonly type: 'step';
      readonly id: number;
      readonly generation: number;
      readonly step: SlotStep;
    }
  | { readonly type: 'close' };

export type FromStageWorker =
  | { readonly type: 'ready'; readonly emptyResidentBytes: number }
  | { readonly type: 'load-failed'; readonly error: SerializedError }
  | { readonly type: 'step-end'; readonly id: number; readonly result: StepResult }
  | { readonly type: 'step-failed'; readonly id: number; readonly error: SerializedError }
  | { readonly type: 'step-skipped'; readonly id: number };
