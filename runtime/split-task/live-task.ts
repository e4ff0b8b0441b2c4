import type { SplitTask } from '../../sdk/client/split-task.ts';
import { keptLines, type StoredTask, type TaskStore } from './task-store.ts';
import { workerLimits } from './worker-protocol.ts';

const saveMs = 1000;
const cut = (line: string): string => line.slice(0, workerLimits.lineCharacters);

/** A task while it runs: what it says is shown at once, and written now and then. */
export interface LiveTask {
  readonly stored: StoredTask;
  log(line: string): void;
  /** Changes what is shown. */
  note(change: Partial<SplitTask>): void;
  /** Writes it as it is. */
  save(change?: Partial<StoredTask>): Promise<SplitTask>;
}

export function createLiveTask(
  tasks: Pick<TaskStore, 'put'>,
  tenant: string,
  first: StoredTask,
  onFault: (fault: unknown) => void,
): LiveTask {
  let stored = first;
  let saving: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  function save(): Promise<SplitTask> {
    clearTimeout(timer);
    timer = undefined;
    const written = saving.then(() => tasks.put(tenant, stored));
    saving = written.catch(() => undefined);
    return written;
  }
  function soon(): void {
    timer ??= setTimeout(() => void save().catch(onFault), saveMs);
    timer.unref();
  }

  return {
    get stored() {
      return stored;
    },
    log(line) {
      stored = { ...stored, lines: keptLines([...stored.lines, cut(line)]) };
      soon();
    },
    note(change) {
      stored = { ...stored, task: { ...stored.task, ...change } };
      soon();
    },
    save(change = {}) {
      stored = { ...stored, ...change };
      return save();
    },
  };
}
