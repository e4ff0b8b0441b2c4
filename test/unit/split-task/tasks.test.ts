import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { Attempt, Perform } from '../../../runtime/split-task/perform.ts';
import type { SplitTasks, SplitTasksOptions } from '../../../runtime/split-task/task-contract.ts';
import { keptLimits } from '../../../runtime/split-task/task-store.ts';
import { openSplitTasks, taskLimits } from '../../../runtime/split-task/tasks.ts';
import { createMemoryStore, type Store } from '../../../runtime/store/index.ts';
import { isSplitTaskOver, type SplitTask } from '../../../sdk/client/split-task.ts';
import { AiosError, SplitError } from '../../../sdk/errors.ts';
import type { SplitPlan } from '../../../sdk/spec/plan.ts';

const tenant = 'default';
const plan = { vdag: { uri: 'tiny:1-a' }, shards: [{}, {}] } as unknown as SplitPlan;

let store: Store;
let attempts: Attempt[];
beforeEach(() => {
  store = createMemoryStore();
  attempts = [];
});

/** Runs `answers` one after another, the last again and again. */
function performing(...answers: ((attempt: Attempt) => Promise<unknown> | unknown)[]): Perform {
  return async (attempt) => {
    attempts.push(attempt);
    await answers[Math.min(attempts.length, answers.length) - 1]?.(attempt);
    return { plan };
  };
}
const untilAborted = ({ signal }: Attempt): Promise<void> =>
  new Promise((_, reject) => {
    const cancel = () => reject(new SplitError('CANCELLED', 'cancelled.'));
    signal.addEventListener('abort', cancel);
    if (signal.aborted) cancel();
  });
const failing = (code: ConstructorParameters<typeof AiosError>[0]) => () => {
  throw new AiosError(code, `told to fail with ${code}.`);
};

const open = (perform: Perform, more: Partial<SplitTasksOptions> = {}): Promise<SplitTasks> =>
  openSplitTasks({ store, perform, check: async () => undefined, backoffMs: () => 0, ...more });

async function whenState(tasks: SplitTasks, id: string, ...states: string[]): Promise<SplitTask> {
  for (;;) {
    const task = await tasks.get(tenant, id);
    if (states.includes(task.state)) return task;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
const whenOver = (tasks: SplitTasks, id: string) =>
  whenState(tasks, id, 'succeeded', 'failed', 'cancelled');

describe('a split task', () => {
  test('waits, runs and succeeds, with a plan and a log', async () => {
    const tasks = await open(
      performing(({ log, note }) => {
        log('half');
        note({ progress: { stage: 'main', fraction: 0.5, message: 'half' } });
      }),
    );

    const submitted = await tasks.submit(tenant, { model: 'tiny' });

    expect(submitted).toMatchObject({ state: 'pending', attempts: 0, model: 'tiny' });
    const over = await whenOver(tasks, submitted.id);
    expect(over).toMatchObject({
      ...{ state: 'succeeded', attempts: 1, vdagUri: 'tiny:1-a', shards: 2 },
    });
    expect(over).not.toHaveProperty('progress');
    expect(await tasks.lines(tenant, over.id)).toEqual(['half']);
    expect(await tasks.plan(tenant, over.id)).toEqual(plan);
    await tasks.close();
  });

  test('shows how far it is while it runs, and has no plan', async () => {
    const tasks = await open(
      performing(async (attempt) => {
        attempt.log('begun');
        attempt.note({ progress: { stage: 'main', fraction: 0.25, message: 'a quarter' } });
        await untilAborted(attempt);
      }),
    );
    const { id } = await tasks.submit(tenant, { model: 'tiny' });

    await whenState(tasks, id, 'running');
    await expect(tasks.plan(tenant, id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    while ((await tasks.lines(tenant, id)).length === 0) await Promise.resolve();

    expect(await tasks.get(tenant, id)).toMatchObject({
      progress: { stage: 'main', fraction: 0.25, message: 'a quarter' },
    });
    expect((await tasks.list(tenant))[0]).toEqual(await tasks.get(tenant, id));
    await tasks.close();
  });

  test('is tried again where that may help, and no more often than it may', async () => {
    const tasks = await open(performing(failing('SPLITTER_FAILED')));

    const { id } = await tasks.submit(tenant, { model: 'tiny', maxAttempts: 4 });
    const over = await whenOver(tasks, id);

    expect(over).toMatchObject({
      ...{ state: 'failed', attempts: 4, error: { code: 'SPLITTER_FAILED' } },
    });
    expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
    expect(await tasks.lines(tenant, id)).toHaveLength(4);
    await tasks.close();
  });

  test('succeeds at its second attempt, and keeps the log of its first', async () => {
    const tasks = await open(performing(failing('CONNECTION_FAILED'), () => undefined));

    const { id } = await tasks.submit(tenant, { model: 'tiny' });
    const over = await whenOver(tasks, id);

    expect(over).toMatchObject({ state: 'succeeded', attempts: 2 });
    expect(over).not.toHaveProperty('error');
    expect((await tasks.lines(tenant, id))[0]).toContain('attempt 1 of 3: CONNECTION_FAILED');
    await tasks.close();
  });

  test.each([
    'CHECKPOINT_INVALID',
    'ARCHITECTURE_UNSUPPORTED',
    'SPLIT_INFEASIBLE',
    'BUNDLE_FAILED',
  ] as const)('is not tried again after %s', async (code) => {
    const tasks = await open(performing(failing(code)));

    const { id } = await tasks.submit(tenant, { model: 'tiny' });

    expect(await whenOver(tasks, id)).toMatchObject({
      state: 'failed',
      attempts: 1,
      error: { code },
    });
    await tasks.close();
  });

  test('waits longer after each attempt', async () => {
    const waits: number[] = [];
    const backoffMs = (attempt: number) => waits.push(attempt) * 0;
    const tasks = await open(performing(failing('INTERNAL')), { backoffMs });

    await whenOver(tasks, (await tasks.submit(tenant, { model: 'tiny' })).id);

    expect(waits).toEqual([1, 2]);
    await tasks.close();
  });

  test('is cancelled while it waits, runs or is to be tried again', async () => {
    const tasks = await open(performing(untilAborted, untilAborted, failing('INTERNAL')), {
      backoffMs: () => 3_600_000,
    });
    const running = [];
    for (let n = 0; n < taskLimits.runningOfTenant; n += 1) {
      running.push(await tasks.submit(tenant, { model: `m${n}` }));
    }
    const waiting = await tasks.submit(tenant, { model: 'later' });

    expect(await tasks.cancel(tenant, waiting.id)).toMatchObject({
      state: 'cancelled',
      attempts: 0,
    });
    for (const { id } of running) {
      await whenState(tasks, id, 'running');
      expect(await tasks.cancel(tenant, id)).toMatchObject({ state: 'cancelled', attempts: 1 });
    }
    const { id } = await tasks.submit(tenant, { model: 'tiny' });
    const retrying = await whenState(tasks, id, 'retrying');
    expect(retrying.nextAttemptAtMs).toBeGreaterThan(Date.now());
    expect(await tasks.cancel(tenant, id)).toMatchObject({ state: 'cancelled' });
    await tasks.close();
  });

  test('that is over is forgotten, or begins anew', async () => {
    const tasks = await open(performing(failing('CHECKPOINT_INVALID'), () => undefined));
    const { id } = await tasks.submit(tenant, { model: 'tiny' });
    await whenOver(tasks, id);

    expect(await tasks.retry(tenant, id)).toMatchObject({ state: 'pending', attempts: 0 });
    expect(await whenOver(tasks, id)).toMatchObject({ state: 'succeeded' });
    await expect(tasks.retry(tenant, id)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    await tasks.cancel(tenant, id);

    await expect(tasks.get(tenant, id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await tasks.close();
  });

  test('begins anew once, however many ask for it at once', async () => {
    const tasks = await open(
      performing(failing('CHECKPOINT_INVALID'), untilAborted, failing('INTERNAL')),
    );
    const { id } = await tasks.submit(tenant, { model: 'tiny' });
    await whenOver(tasks, id);

    const asked = await Promise.allSettled([1, 2, 3].map(() => tasks.retry(tenant, id)));
    while (attempts.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    await tasks.close();

    expect(asked.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(attempts).toHaveLength(2);
  });

  test('that is begun anew before its last attempt is gone runs once at a time', async () => {
    let atOnce = 0;
    let most = 0;
    const inner = createMemoryStore();
    const tasks = await open(
      performing(async () => {
        most = Math.max(most, ++atOnce);
        await new Promise((resolve) => setTimeout(resolve, 1));
        atOnce -= 1;
        failing('CHECKPOINT_INVALID')();
      }),
      {
        store: {
          ...inner,
          async commit(operations) {
            const revision = await inner.commit(operations);
            // As soon as it is written that the task failed, somebody has it begin anew: its attempt is still there.
            const [first] = operations;
            const value = first?.type === 'put' ? (first.value as { task?: SplitTask }) : {};
            if (value.task?.state === 'failed' && attempts.length < 3) {
              await tasks.retry(tenant, value.task.id);
            }
            return revision;
          },
        },
      },
    );

    const { id } = await tasks.submit(tenant, { model: 'tiny' });
    while (attempts.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));

    expect(await whenOver(tasks, id)).toMatchObject({ state: 'failed' });
    expect([most, attempts.length]).toEqual([1, 3]);
    await tasks.close();
  });

  test('ends when an attempt takes too long, and is tried again', async () => {
    const tasks = await open(performing(untilAborted, () => undefined));

    const { id } = await tasks.submit(tenant, { model: 'tiny', attemptTimeoutMs: 1000 });

    expect(await whenOver(tasks, id)).toMatchObject({ state: 'succeeded', attempts: 2 });
    expect((await tasks.lines(tenant, id))[0]).toContain('attempt 1 of 3: DEADLINE_EXCEEDED');
    await tasks.close();
  });

  test('of one tenant leaves a place for those of others', async () => {
    const tasks = await open(performing(untilAborted));
    for (let n = 0; n < taskLimits.running + 1; n += 1) await tasks.submit(tenant, { model: 'm' });

    await tasks.submit('other', { model: 'theirs' });
    while (attempts.length < taskLimits.running) await new Promise((r) => setTimeout(r, 1));

    expect(attempts.map((attempt) => attempt.tenant)).toEqual([tenant, tenant, 'other']);
    await tasks.close();
  });

  test('of one tenant is not seen by another', async () => {
    const tasks = await open(performing());
    const { id } = await tasks.submit(tenant, { model: 'tiny' });

    expect(await tasks.list('other')).toEqual([]);
    await expect(tasks.get('other', id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(tasks.cancel('other', id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await tasks.close();
  });

  test('is refused where too many wait', async () => {
    const tasks = await open(performing(untilAborted));
    const submit = () => tasks.submit(tenant, { model: 'tiny' });
    for (let n = 0; n < taskLimits.waiting + taskLimits.runningOfTenant; n += 1) await submit();

    await expect(submit()).rejects.toMatchObject({ code: 'BUSY' });
    await tasks.close();
  });

  test.each([
    {},
    { model: 'tiny', shards: 0 },
    { model: 'tiny', splitter: './my.ts' },
    { model: 'tiny', outFolder: '/etc' },
    { model: 'tiny', maxAttempts: 11 },
    { model: 'tiny', memoryBytes: 1 },
    { model: 'tiny', attemptTimeoutMs: 86_400_001 },
  ])('%o is refused before it is kept', async (document) => {
    const tasks = await open(performing());

    await expect(tasks.submit(tenant, document)).rejects.toMatchObject({ code: 'SPEC_INVALID' });
    expect(await tasks.list(tenant)).toEqual([]);
    await tasks.close();
  });
});

describe('the end of a control plane', () => {
  test('breaks a task off, which the next one begins anew', async () => {
    const first = await open(performing(untilAborted));
    const { id } = await first.submit(tenant, { model: 'tiny' });
    await whenState(first, id, 'running');
    await first.close();

    const next = await open(performing());
    const over = await whenOver(next, id);

    expect(over).toMatchObject({ state: 'succeeded', attempts: 2 });
    await next.close();
  });

  test('keeps what waits to be tried again, with the time that is left', async () => {
    const first = await open(performing(failing('INTERNAL')), { backoffMs: () => 3_600_000 });
    const { id } = await first.submit(tenant, { model: 'tiny' });
    const before = await whenState(first, id, 'retrying');
    await first.close();

    const second = await open(performing());
    expect(await second.get(tenant, id)).toEqual(before);
    await second.close();
    const late = await open(performing(), { clock: () => (before.nextAttemptAtMs ?? 0) + 1 });

    expect(await whenOver(late, id)).toMatchObject({ state: 'succeeded', attempts: 2 });
    await late.close();
  });

  test('does not go on for ever with a task that takes it along', async () => {
    let last: SplitTask | undefined;
    for (let n = 0; n < 10; n += 1) {
      const tasks = await open(performing(untilAborted));
      if (n === 0) await tasks.submit(tenant, { model: 'tiny', maxAttempts: 1 });
      [last] = await tasks.list(tenant);
      if (!last || isSplitTaskOver(last)) {
        await tasks.close();
        break;
      }
      await whenState(tasks, last.id, 'running');
      await tasks.close();
    }

    expect(last).toMatchObject({
      ...{ state: 'failed', attempts: 1 + taskLimits.brokenOff, error: { code: 'CLOSED' } },
    });
  });
});

test('of the tasks that are over, the newest are kept', async () => {
  let now = 0;
  const tasks = await open(performing(), { clock: () => ++now });
  const ids: string[] = [];
  for (let n = 0; n < keptLimits.tasks + 3; n += 1) {
    const { id } = await tasks.submit(tenant, { model: 'tiny' });
    ids.push(id);
    await whenOver(tasks, id).catch(() => undefined);
  }

  const left = (await tasks.list(tenant)).map(({ id }) => id);
  expect(left.sort()).toEqual(ids.slice(3).sort());
  await tasks.close();
});

test('nothing waits to be tried again once it is closed, though it was closed while that was written', async () => {
  const delayMs = 54_321;
  const setTimer = vi.spyOn(globalThis, 'setTimeout');
  let writes = () => undefined as unknown;
  const written = new Promise<void>((resolve) => {
    writes = resolve;
  });
  let goOn = () => undefined as unknown;
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const inner = store;
  store = {
    ...inner,
    async commit(operations) {
      const done = await inner.commit(operations);
      if (!JSON.stringify(operations).includes('"retrying"')) return done;
      writes();
      await held;
      return done;
    },
  };
  const tasks = await open(performing(failing('SPLITTER_FAILED')), { backoffMs: () => delayMs });
  await tasks.submit(tenant, { model: 'tiny' });

  await written;
  const closing = tasks.close();
  goOn();
  await closing;

  expect(setTimer.mock.calls.filter(([, ms]) => ms === delayMs)).toEqual([]);
  setTimer.mockRestore();
});

describe('the process that works on a task', () => {
  const worker = { pid: 4711, startTime: '12345' };

  test('is noted while it does, and ended by the next control plane before the task begins anew', async () => {
    const first = await open(
      performing(async (attempt) => {
        await attempt.onStarted?.(worker);
        await new Promise(() => undefined);
      }),
    );
    await first.submit(tenant, { model: 'tiny' });
    while (!JSON.stringify(await store.list(tenant, 'split-task')).includes('4711')) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    // That control plane was killed: nothing of it goes on, and it closed nothing.
    const order: unknown[] = [];

    const second = await open(
      performing(() => order.push('begun anew')),
      {
        endWorker: async (left) => void order.push(left),
        keepOnly: async () => void order.push('folders'),
      },
    );
    const [task] = await second.list(tenant);
    await whenOver(second, String(task?.id));

    expect(order).toEqual([worker, 'folders', 'begun anew']);
    await second.close();
  });

  test.each([
    ['succeeded', 'succeeded', () => undefined],
    ['failed', 'failed', failing('SPEC_INVALID')],
  ])('is forgotten once the task %s, and no longer heard', async (_, state, then) => {
    const tasks = await open(
      performing(async (attempt) => {
        await attempt.onStarted?.(worker);
        then();
      }),
    );
    const { id } = await tasks.submit(tenant, { model: 'tiny' });
    await whenState(tasks, id, state);

    const setTimer = vi.spyOn(globalThis, 'setTimeout');
    attempts[0]?.log('too late');
    attempts[0]?.note({ state: 'running' });
    const willBeWritten = setTimer.mock.calls.length > 0;
    setTimer.mockRestore();

    expect(willBeWritten).toBe(false);
    expect(JSON.stringify(await store.list(tenant, 'split-task'))).not.toContain('4711');
    expect(await tasks.lines(tenant, id)).not.toContain('too late');
    expect(await tasks.get(tenant, id)).toMatchObject({ state });
    await tasks.close();
  });
});
