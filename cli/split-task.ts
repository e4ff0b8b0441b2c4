import { isSplitTaskOver, type SplitTask } from '../sdk/client/split-task.ts';
import { AiosError, type ErrorCode, errorCodes } from '../sdk/errors.ts';
import type { Context } from './context.ts';
import { renderBar } from './progress.ts';

const pollMs = 250;

function describe({ id, state, attempts, progress }: SplitTask): string {
  if (state !== 'running' || !progress) return `${id} ${state}`;
  const attempt = attempts > 1 ? ` (attempt ${attempts})` : '';
  return `${renderBar(progress.fraction)}  ${progress.stage}${attempt}: ${progress.message}`;
}

/** Waits until it is over, and shows how far it is; Ctrl-C cancels it. */
export async function whenSplit(context: Context, submitted: SplitTask): Promise<SplitTask> {
  const { client, progress, signal } = context;
  let task = submitted;
  while (!isSplitTaskOver(task)) {
    if (signal.aborted) return cancel(context, task.id);
    progress.update(describe(task));
    await new Promise((resolve) => setTimeout(resolve, pollMs));
    task = signal.aborted ? await cancel(context, task.id) : await client.splitTask(task.id);
  }
  progress.done();
  return task;
}

/** The command's own signal has aborted: every call with it would fail. */
async function cancel({ client, io }: Context, id: string): Promise<SplitTask> {
  const { connect } = await import('../sdk/client/index.ts');
  return connect(client.url, { apiKey: io.env.AIOS_API_KEY }).cancelSplit(id);
}

/** @throws {AiosError} what the task failed with */
export function assertSplit({ id, state, error }: SplitTask): void {
  if (state === 'succeeded') return;
  const code = error && Object.hasOwn(errorCodes, error.code) ? error.code : 'INTERNAL';
  throw new AiosError(code as ErrorCode, error?.message ?? `split task '${id}' is ${state}.`, {
    problems: error?.problems ?? [],
    details: { taskId: id },
  });
}

/** One row a task. */
export function renderTasks(tasks: readonly SplitTask[], { table, style }: Context): string {
  const colour = (state: string): string => {
    if (state === 'succeeded') return style.good(state);
    return state === 'failed' || state === 'cancelled' ? style.bad(state) : style.warn(state);
  };
  const rows = tasks.map(({ id, model, state, attempts, maxAttempts, ...task }) => [
    ...[id, model, colour(state), `${attempts} of ${maxAttempts}`],
    task.progress ? `${Math.round(task.progress.fraction * 100)} %` : '–',
    task.vdagUri ?? task.error?.message.split('\n')[0]?.slice(0, 80) ?? '',
  ]);
  return table(['task', 'model', 'state', '>attempts', '>done', 'result'], rows);
}
