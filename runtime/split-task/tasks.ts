import { randomUUID } from 'node:crypto';
import { isSplitTaskOver, type SplitTask } from '../../sdk/client/split-task.ts';
import { AiosError } from '../../sdk/errors.ts';
import { createQueue } from '../policy-job/index.ts';
import { withDeadline } from './deadline.ts';
import { createLiveTask, type LiveTask } from './live-task.ts';
import { readSplitRequest } from './request.ts';
import { backoffAfter, mayHelp } from './retries.ts';
import type { SplitTasks, SplitTasksOptions } from './task-contract.ts';
import { createTaskStore, type StoredTask } from './task-store.ts';
import { createTimers } from './timers.ts';

export const taskLimits = {
  /** Of one tenant; more are told to come back. */
  waiting: 100,
  /** At once, of all tenants: each takes memory and reads a disk. */
  running: 3,
  /** At once, of one tenant: those of others find a place. */
  runningOfTenant: 2,
  /** Ends of the control plane that a task survives, beside its own attempts. */
  brokenOff: 3,
} as const;

interface Running {
  readonly tenant: string;
  readonly live: LiveTask;
  readonly controller: AbortController;
  done: Promise<void>;
}

/** Opens the tasks of before: those that waited or ran begin anew. */
export async function openSplitTasks(options: SplitTasksOptions): Promise<SplitTasks> {
  const { store, perform, check, clock = Date.now, log = () => undefined } = options;
  const { backoffMs = backoffAfter } = options;
  const tasks = createTaskStore(store);
  const queue = createQueue();
  const running = new Map<string, Running>();
  const timers = createTimers();
  const entering = new Map<string, number>();
  /** Names of tasks that are over and are being begun anew or forgotten. */
  const changing = new Set<string>();
  let closed = false;

  const nameOf = (tenant: string, id: string): string => JSON.stringify([tenant, id]);
  const atWork = (tenant: string): number =>
    [...running.values()].filter((one) => one.tenant === tenant).length;
  /** One that has just ended may wait already to begin anew: until the last attempt is gone, it stays in the queue. */
  const mayRun = ({ tenant, id }: { readonly tenant: string; readonly id: string }): boolean =>
    atWork(tenant) < taskLimits.runningOfTenant && !running.has(nameOf(tenant, id));
  const fault = (thrown: unknown): void => log(`split task: ${AiosError.from(thrown).message}`);

  /** As it is now: what runs has said more than was written. */
  async function current(tenant: string, id: string): Promise<StoredTask> {
    const live = running.get(nameOf(tenant, id))?.live;
    return live?.stored ?? tasks.require(tenant, id);
  }

  /** @throws {AiosError} STORE_CONFLICT */
  async function alone<T>(tenant: string, id: string, change: () => Promise<T>): Promise<T> {
    const name = nameOf(tenant, id);
    if (changing.has(name)) {
      throw new AiosError('STORE_CONFLICT', `split task '${id}' is being changed; try again.`);
    }
    changing.add(name);
    try {
      return await change();
    } finally {
      changing.delete(name);
    }
  }

  async function end(
    tenant: string,
    stored: StoredTask,
    how: Partial<SplitTask>,
    more: Partial<StoredTask> = {},
  ): Promise<SplitTask> {
    const { progress: _p, nextAttemptAtMs: _n, ...task } = stored.task;
    const ended = { ...task, endedAtMs: clock(), ...how };
    await options.forget?.(task.id);
    await tasks.put(tenant, { ...stored, ...more, task: ended });
    await tasks.tidy(tenant);
    return ended;
  }

  function later(tenant: string, id: string, delayMs: number): void {
    timers.set(nameOf(tenant, id), delayMs, () => {
      queue.add(tenant, id);
      advance();
    });
  }

  async function attempt(tenant: string, live: LiveTask, signal: AbortSignal): Promise<void> {
    const { request } = live.stored;
    const { id, attempts } = live.stored.task;
    try {
      const { plan, created } = await withDeadline(request, signal, (within) =>
        perform({
          ...{ tenant, request, taskId: id, attempt: attempts, signal: within },
          log: live.log,
          note: live.note,
          onStarted: (worker) => live.save({ worker }),
        }),
      );
      const { error: _e, ...task } = live.stored.task;
      const facts = { vdagUri: plan.vdag.uri as string, shards: plan.shards.length };
      const how = { state: 'succeeded' as const, ...facts, ...(created ? { created } : {}) };
      await live.close();
      await end(tenant, { ...live.stored, task }, how, { plan });
    } catch (thrown) {
      await failed(tenant, live, AiosError.from(thrown), signal);
    }
  }

  async function failed(
    tenant: string,
    live: LiveTask,
    thrown: AiosError,
    signal: AbortSignal,
  ): Promise<void> {
    // What this control plane's end broke off begins anew with the next.
    if (closed) {
      live.log(`attempt ${live.stored.task.attempts}: broken off by the end of the control plane`);
      await live.close();
      return;
    }
    const { id, attempts, maxAttempts } = live.stored.task;
    const { code, message, problems } = thrown;
    const error = { code, message, ...(problems.length > 0 ? { problems } : {}) };
    live.log(`attempt ${attempts} of ${maxAttempts}: ${code} ${message}`);
    await live.close();
    if (signal.aborted) {
      await end(tenant, live.stored, { state: 'cancelled', error });
      return;
    }
    if (attempts >= maxAttempts || !mayHelp(thrown)) {
      await end(tenant, live.stored, { state: 'failed', error });
      return;
    }
    const delayMs = backoffMs(attempts);
    const { progress: _p, ...task } = live.stored.task;
    const waits = { state: 'retrying' as const, nextAttemptAtMs: clock() + delayMs, error };
    await tasks.put(tenant, { ...live.stored, task: { ...task, ...waits } });
    later(tenant, id, delayMs);
  }

  async function begin(tenant: string, id: string, controller: AbortController): Promise<void> {
    const stored = await tasks.require(tenant, id);
    if (isSplitTaskOver(stored.task)) return;
    const { nextAttemptAtMs: _n, ...task } = stored.task;
    const begun: SplitTask = {
      ...{ ...task, state: 'running', attempts: task.attempts + 1 },
      startedAtMs: task.startedAtMs ?? clock(),
    };
    const live = createLiveTask(tasks, tenant, { ...stored, task: begun }, fault);
    const one = running.get(nameOf(tenant, id));
    if (one) running.set(nameOf(tenant, id), Object.assign(one, { live }));
    await live.save();
    await attempt(tenant, live, controller.signal);
  }

  async function anew(tenant: string, id: string): Promise<SplitTask> {
    const stored = await tasks.require(tenant, id);
    const { state } = stored.task;
    if (state !== 'failed' && state !== 'cancelled') {
      throw new AiosError(
        'REQUEST_INVALID',
        `split task '${id}' is ${state}; only one that failed or was cancelled begins anew.`,
      );
    }
    const { endedAtMs: _e, error: _error, ...task } = stored.task;
    const again: SplitTask = { ...task, state: 'pending', attempts: 0 };
    await tasks.put(tenant, { ...stored, task: again });
    queue.add(tenant, id);
    return again;
  }

  function advance(): void {
    while (!closed && running.size < taskLimits.running) {
      const next = queue.next(atWork, mayRun);
      if (!next) return;
      const { tenant, id } = next;
      const name = nameOf(tenant, id);
      const controller = new AbortController();
      const one = { tenant, controller } as Running;
      running.set(name, one);
      one.done = begin(tenant, id, controller)
        .catch(fault)
        .then(() => {
          running.delete(name);
          advance();
        });
    }
  }

  async function reopen(tenant: string, stored: StoredTask): Promise<void> {
    const { task } = stored;
    if (task.attempts >= task.maxAttempts + taskLimits.brokenOff) {
      const message = `the task was broken off ${task.attempts} times by the end of the control plane.`;
      await end(tenant, stored, { state: 'failed', error: { code: 'CLOSED', message } });
      return;
    }
    const waitMs = task.state === 'retrying' ? (task.nextAttemptAtMs ?? 0) - clock() : 0;
    if (waitMs > 0) later(tenant, task.id, waitMs);
    else queue.add(tenant, task.id);
  }

  const unfinished: { readonly tenant: string; readonly stored: StoredTask }[] = [];
  for (const tenant of await store.tenants()) {
    const left = (await tasks.list(tenant)).filter(({ task }) => !isSplitTaskOver(task));
    unfinished.push(...left.map((stored) => ({ tenant, stored })));
  }
  for (const { stored } of unfinished) if (stored.worker) await options.endWorker?.(stored.worker);
  unfinished.sort((a, b) => a.stored.task.createdAtMs - b.stored.task.createdAtMs);
  await options.keepOnly?.(new Set(unfinished.map(({ stored }) => stored.task.id)));
  for (const { tenant, stored } of unfinished) await reopen(tenant, stored);
  advance();

  return {
    async submit(tenant, document) {
      if (closed) throw new AiosError('CLOSED', 'this control plane ends; submit to the next.');
      const request = readSplitRequest(document);
      await check(tenant, request);
      const written = entering.get(tenant) ?? 0;
      if (queue.sizeOf(tenant) + written >= taskLimits.waiting) {
        throw new AiosError('BUSY', `${taskLimits.waiting} splits wait already; retry later.`);
      }
      const task: SplitTask = {
        ...{ id: `split-${randomUUID()}`, model: request.model, state: 'pending' },
        ...{ splitter: request.splitter ?? 'built-in', createdAtMs: clock() },
        ...{ attempts: 0, maxAttempts: request.maxAttempts },
      };
      entering.set(tenant, written + 1);
      try {
        await tasks.put(tenant, { task, request, lines: [] });
        queue.add(tenant, task.id);
      } finally {
        entering.set(tenant, (entering.get(tenant) ?? 1) - 1);
      }
      advance();
      return task;
    },
    async list(tenant) {
      const all = await tasks.list(tenant);
      const shown = all.map(
        ({ task }) => running.get(nameOf(tenant, task.id))?.live?.stored.task ?? task,
      );
      return shown.sort((a, b) => b.createdAtMs - a.createdAtMs);
    },
    get: async (tenant, id) => (await current(tenant, id)).task,
    lines: async (tenant, id) => (await current(tenant, id)).lines,
    async plan(tenant, id) {
      const { plan, task } = await tasks.require(tenant, id);
      if (plan) return plan;
      throw new AiosError('NOT_FOUND', `split task '${id}' is ${task.state}; it has no plan.`);
    },
    async retry(tenant, id) {
      const again = await alone(tenant, id, () => anew(tenant, id));
      advance();
      return again;
    },
    async cancel(tenant, id) {
      const name = nameOf(tenant, id);
      const { task } = await current(tenant, id);
      if (isSplitTaskOver(task)) {
        await alone(tenant, id, () => tasks.remove(tenant, id));
        return task;
      }
      const isWaiting = queue.remove(tenant, id);
      timers.clear(name);
      if (!isWaiting) {
        const one = running.get(name);
        one?.controller.abort();
        await one?.done;
      }
      const latest = await tasks.require(tenant, id);
      if (isSplitTaskOver(latest.task)) return latest.task;
      // It was about to be tried again.
      queue.remove(tenant, id);
      timers.clear(name);
      const error = { code: 'CANCELLED', message: `split task '${id}' was cancelled.` };
      return end(tenant, latest, { state: 'cancelled', error });
    },
    async close() {
      closed = true;
      timers.close();
      for (const { controller } of running.values()) controller.abort();
      await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}
