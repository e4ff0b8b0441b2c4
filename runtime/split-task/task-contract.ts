import type { SplitTask } from '../../sdk/client/split-task.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import type { Store } from '../store/index.ts';
import type { LeftProcess } from './left-process.ts';
import type { Perform } from './perform.ts';
import type { SplitRequest } from './request.ts';

export interface SplitTasksOptions {
  readonly store: Store;
  /** Splits once. */
  readonly perform: Perform;
  /** @throws {AiosError} NOT_FOUND - what the request names is not there */
  readonly check: (tenant: string, request: SplitRequest) => Promise<void>;
  /** Removes what an attempt left, once the task is over. @default nothing is left */
  readonly forget?: (taskId: string) => Promise<void>;
  /** Removes what is left of all but these. */
  readonly keepOnly?: (taskIds: ReadonlySet<string>) => Promise<void>;
  /** Ends what still works on a task though its control plane ended. @default nothing does */
  readonly endWorker?: (worker: LeftProcess) => Promise<void>;
  /** Unix milliseconds. @default Date.now */
  readonly clock?: () => number;
  /** How long to wait after a failed attempt. @default 1 s, 4 s, 16 s, then a minute */
  readonly backoffMs?: (attempt: number) => number;
  readonly log?: (line: string) => void;
}

/** Models that are being split, and what came of it. */
export interface SplitTasks {
  /** @throws {AiosError} SPEC_INVALID, NOT_FOUND, BUSY, CLOSED */
  submit(tenant: string, document: unknown): Promise<SplitTask>;
  /** Newest first. */
  list(tenant: string): Promise<readonly SplitTask[]>;
  /** @throws {AiosError} NOT_FOUND */
  get(tenant: string, id: string): Promise<SplitTask>;
  lines(tenant: string, id: string): Promise<readonly string[]>;
  /** @throws {AiosError} NOT_FOUND - it has not succeeded */
  plan(tenant: string, id: string): Promise<SplitPlan>;
  /** @throws {AiosError} REQUEST_INVALID - it waits, runs or succeeded; STORE_CONFLICT - somebody else begins it anew */
  retry(tenant: string, id: string): Promise<SplitTask>;
  /** Of one that waits or runs; one that is over is removed. */
  cancel(tenant: string, id: string): Promise<SplitTask>;
  close(): Promise<void>;
}
