import type { Problem } from '../errors.ts';
import type { SplitPlan, WeightDtype } from '../spec/plan.ts';
import type { CreatedPlan } from './api.ts';

export const splitTaskStates = [
  'pending',
  'running',
  'retrying',
  'succeeded',
  'failed',
  'cancelled',
] as const;
export type SplitTaskState = (typeof splitTaskStates)[number];

/** Nothing more happens to it by itself. */
export const isSplitTaskOver = ({ state }: Pick<SplitTask, 'state'>): boolean =>
  state === 'succeeded' || state === 'failed' || state === 'cancelled';

/** A model that is to be split by the control plane. */
export interface SplitTaskRequest {
  /** As `modelFolders` lists it: relative to a folder that the operator allowed. */
  readonly model: string;
  /** Hash of an uploaded bundle whose default export is a splitter. @default the built-in ones */
  readonly splitter?: string | undefined;
  /** @default the planner says */
  readonly shards?: number | undefined;
  /** URI of a policy of hook `splitPlanner`. @default the hook's own */
  readonly planner?: string | undefined;
  /** Clusters whose nodes' free memory the shards must fit. */
  readonly fit?: readonly string[] | undefined;
  /** Tensors at which an ONNX graph is cut. */
  readonly cutTensors?: readonly string[] | undefined;
  /** @default 8 */
  readonly maxSessions?: number | undefined;
  readonly contextTokens?: number | undefined;
  /** What weights are converted to. @default as they lie */
  readonly dtype?: WeightDtype | undefined;
  /** Numbers that share a scale, of `int8` and `int4`. */
  readonly blockSize?: number | undefined;
  /** Copy each shard's weights. @default false */
  readonly copy?: boolean | undefined;
  /** Run the model when it is split. @default false */
  readonly create?: boolean | undefined;
  /** How often it is tried where trying again may help. @default 3 */
  readonly maxAttempts?: number | undefined;
  /** Longest an attempt may take; then it ends with DEADLINE_EXCEEDED. 1 s to 24 h. @default 7_200_000, two hours */
  readonly attemptTimeoutMs?: number | undefined;
  /**
   * Where the process runs: beside the control plane, or on a node that policies choose, which holds `memoryBytes` for it.
   * @default here
   */
  readonly runOn?: 'here' | 'cluster' | undefined;
  /** Of the process's heap, and what a node promises to it. @default 1 GiB */
  readonly memoryBytes?: number | undefined;
}

export interface SplitTask {
  readonly id: string;
  readonly model: string;
  /** Hash of the author's bundle, or `built-in`. */
  readonly splitter: string;
  readonly state: SplitTaskState;
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
  /** Begun so far. */
  readonly attempts: number;
  readonly maxAttempts: number;
  /** While it is retrying. */
  readonly nextAttemptAtMs?: number;
  /** Of the attempt that runs. */
  readonly progress?: {
    readonly stage: string;
    /** 0 to 1, of this stage. */
    readonly fraction: number;
    readonly message: string;
  };
  /** Where the policies put it. */
  readonly place?: {
    readonly clusterId: string;
    readonly nodeId: string;
    readonly decisionId: string;
  };
  /** Of the last attempt that failed. */
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly problems?: readonly Problem[];
  };
  /** Once it succeeded. */
  readonly vdagUri?: string;
  readonly shards?: number;
  /** Once it succeeded and was to be created. */
  readonly created?: CreatedPlan;
}

/** A model that the operator allows to be split. */
export interface ModelFolder {
  readonly id: string;
  readonly kind: 'folder' | 'onnx';
}

/** Splits that the control plane runs and keeps. */
export interface SplitTaskCalls {
  modelFolders(): Promise<readonly ModelFolder[]>;
  /** @throws {AiosError} SPEC_INVALID, NOT_FOUND - no such model is allowed; BUSY */
  submitSplit(request: SplitTaskRequest): Promise<SplitTask>;
  /** Newest first. */
  splitTasks(): Promise<readonly SplitTask[]>;
  splitTask(id: string): Promise<SplitTask>;
  /** The last lines it wrote, of all attempts. */
  splitTaskLogs(id: string): Promise<{ readonly lines: readonly string[] }>;
  /** @throws {AiosError} NOT_FOUND - it has not succeeded */
  splitTaskPlan(id: string): Promise<SplitPlan>;
  /** Begins one anew that failed or was cancelled. @throws {AiosError} REQUEST_INVALID - it is not over, or succeeded */
  retrySplit(id: string): Promise<SplitTask>;
  /** One that is over is forgotten. */
  cancelSplit(id: string): Promise<SplitTask>;
}
