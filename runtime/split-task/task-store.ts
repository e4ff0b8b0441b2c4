import type { SplitTask } from '../../sdk/client/split-task.ts';
import { isSplitTaskOver } from '../../sdk/client/split-task.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import type { Store } from '../store/index.ts';
import type { LeftProcess } from './left-process.ts';
import type { SplitRequest } from './request.ts';

export const keptLimits = {
  /** Lines of a task. */
  lines: 1000,
  /** Of all lines of a task together. */
  logCharacters: 65_536,
  /** Tasks of one tenant that are over. */
  tasks: 200,
} as const;

export interface StoredTask {
  readonly task: SplitTask;
  readonly request: SplitRequest;
  /** The last ones. */
  readonly lines: readonly string[];
  readonly plan?: SplitPlan;
  /** What works on it: it may outlive a control plane that was killed. */
  readonly worker?: LeftProcess;
}

/** Tasks as documents. */
export interface TaskStore {
  /** @throws {AiosError} NOT_FOUND */
  require(tenant: string, id: string): Promise<StoredTask>;
  list(tenant: string): Promise<readonly StoredTask[]>;
  put(tenant: string, stored: StoredTask): Promise<SplitTask>;
  remove(tenant: string, id: string): Promise<void>;
  /** Drops the oldest of those that are over and too many. */
  tidy(tenant: string): Promise<void>;
}

export function createTaskStore(store: Store): TaskStore {
  const keyOf = (tenant: string, id: string) => ({ tenant, kind: 'split-task' as const, id });

  const list: TaskStore['list'] = async (tenant) =>
    (await store.list<StoredTask>(tenant, 'split-task')).map(({ value }) => value);

  return {
    list,
    async require(tenant, id) {
      const found = await store.get<StoredTask>(keyOf(tenant, id));
      if (found) return found.value;
      throw new AiosError(
        'NOT_FOUND',
        `split task '${id.slice(0, 100)}' does not exist. List those that are kept with: aios split-task list`,
      );
    },
    async put(tenant, stored) {
      await store.commit([{ type: 'put', ...keyOf(tenant, stored.task.id), value: stored }]);
      return stored.task;
    },
    async remove(tenant, id) {
      await store.commit([{ type: 'delete', ...keyOf(tenant, id) }]);
    },
    async tidy(tenant) {
      const over = (await list(tenant)).map(({ task }) => task).filter(isSplitTaskOver);
      const excess = over
        .sort((a, b) => (b.endedAtMs ?? 0) - (a.endedAtMs ?? 0))
        .slice(keptLimits.tasks);
      if (excess.length === 0) return;
      await store.commit(excess.map(({ id }) => ({ type: 'delete', ...keyOf(tenant, id) })));
    },
  };
}
