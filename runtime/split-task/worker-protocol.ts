import type { SerializedError } from '../../sdk/errors.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import type { SplitModelOptions, SplitPreview, SplitProgress } from '../model/index.ts';

/** Options of a split that cross to another process: everything but functions. */
export type SplitOrder = Omit<
  SplitModelOptions,
  'splitters' | 'plan' | 'signal' | 'onProgress' | 'task' | 'layers'
>;

/** What the process that splits is told first. */
export interface WorkerOrder {
  readonly split: SplitOrder;
  /** Absolute path of an author's bundle whose default export is a splitter. Absent: the built-in ones. */
  readonly splitterFile?: string;
  readonly task: { readonly id: string; readonly attempt: number };
  /** Only say what it would write. */
  readonly preview?: boolean;
}

/** What the process asks its parent, which has policies and the registry. */
export const workerCalls = ['plan', 'findLayer', 'registerLayer'] as const;
export type WorkerCall = (typeof workerCalls)[number];

export type ToWorker =
  | { readonly type: 'start'; readonly order: WorkerOrder }
  | { readonly type: 'answer'; readonly call: number; readonly value?: unknown }
  | { readonly type: 'refusal'; readonly call: number; readonly error: SerializedError }
  | { readonly type: 'cancel' };

/** Where the process finds its pipe to the parent: both ways, one message a line. */
export const workerPipe = 3;

export type FromWorker =
  | { readonly type: 'progress'; readonly progress: SplitProgress }
  | { readonly type: 'log'; readonly line: string }
  /** Where it writes until it is done: removed by the parent if the process cannot. */
  | { readonly type: 'staging'; readonly path: string }
  | {
      readonly type: 'call';
      readonly call: number;
      readonly method: WorkerCall;
      readonly argument: unknown;
    }
  | { readonly type: 'done'; readonly plan: SplitPlan }
  | { readonly type: 'previewed'; readonly preview: SplitPreview }
  | { readonly type: 'failed'; readonly error: SerializedError };

export const workerLimits = {
  /** Of a line of log; the rest is cut off. */
  lineCharacters: 2000,
  /** Of an error's message, or its details as JSON; the rest is cut off. */
  messageCharacters: 32_768,
  /** Of a preview. */
  shards: 10_000,
  /** Of a plan or a checkpoint. */
  problems: 50,
  /** Between two reports of progress of one stage. */
  progressMs: 100,
  /** How long a cancelled process may tidy up before it is killed. */
  graceMs: 5000,
  /** Between two looks whether the parent is still there. */
  parentWatchMs: 250,
  /** Calls that are answered at once; who asks more waits. */
  calls: 16,
  /** Of the JavaScript heap; what ONNX Runtime and buffers take is outside of it. */
  heapMebibytes: 1024,
} as const;
