import type { SplitTask } from '../../sdk/client/split-task.ts';
import { createKeptLines } from './kept-lines.ts';
import type { StoredTask, TaskStore } from './task-store.ts';
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
  save(change?: Partial<Omit<StoredTask, 'lines'>>): Promise<SplitTask>;
  /** Writes it as it is, without the process that worked on it; what is said of it later is not heard. */
  close(): Promise<SplitTask>;
}

export function createLiveTask(
  tasks: Pick<TaskStore, 'put'>,
  tenant: string,
  first: StoredTask,
  onFault: (fault: unknown) => void,
): LiveTask {
  const lines = createKeptLines(first.lines);
  let stored = first;
  let hasNewLines = false;
  let closed = false;
  let saving: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  function current(): StoredTask {
    if (hasNewLines) stored = { ...stored, lines: lines.all() };
    hasNewLines = false;
    return stored;
  }
  function save(): Promise<SplitTask> {
    clearTimeout(timer);
    timer = undefined;
    const written = saving.then(() => tasks.put(tenant, current()));
    saving = written.catch(() => undefined);
    return written;
  }
  function soon(): void {
    timer ??= setTimeout(() => void save().catch(onFault), saveMs);
    timer.unref();
  }

  return {
    get stored() {
      return current();
    },
    log(line) {
      if (closed) return;
      lines.push(cut(line));
      hasNewLines = true;
      soon();
    },
    note(change) {
      if (closed) return;
      stored = { ...stored, task: { ...stored.task, ...change } };
      soon();
    },
    save(change = {}) {
      stored = { ...stored, ...change };
      return save();
    },
    close() {
      closed = true;
      const { worker: _worker, ...rest } = stored;
      stored = rest;
      return save();
    },
  };
}
