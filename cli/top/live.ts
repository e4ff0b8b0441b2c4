import { AiosError } from '../../sdk/errors.ts';
import type { Context } from '../context.ts';
import { onLeaveKey } from './keys.ts';
import { createTopReadings, type TopView } from './readings.ts';
import { renderTop } from './render.ts';
import { openScreen } from './screen.ts';

/** Resolves after the time, or at once when the signal aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}

/** Two readings, so that there are speeds. @throws {AiosError} CONNECTION_FAILED and what else a call may */
export async function readTop(context: Context, intervalMs: number): Promise<TopView> {
  const readings = createTopReadings();
  const read = async () =>
    readings.take(await context.client.status({ signal: context.signal }), Date.now());
  await read();
  await pause(intervalMs, context.signal);
  return read();
}

/** Until a key or a signal ends it. A control plane that does not answer is asked again. */
export async function runTop(context: Context, intervalMs: number): Promise<void> {
  const { io, style, client } = context;
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const readings = createTopReadings();
  // Before the terminal is taken: a wrong address is an error like any other.
  let view = readings.take(await client.status({ signal: context.signal }), Date.now());
  let trouble = '';

  const draw = (): void => {
    const time = new Date(view.atMs).toTimeString().slice(0, 8);
    const hint = style.dim(`every ${intervalMs / 1000} s; q leaves`);
    const head = `${style.bold('aios top')}  ${time}  ${hint}${trouble}`;
    screen.draw([head, '', ...renderTop(view, context).split('\n')]);
  };
  const screen = openScreen(io.stdout, () => draw());
  const stopKeys = onLeaveKey(io.stdin, end);
  const stopInterrupts = context.onInterrupt(end);
  context.signal.addEventListener('abort', end);
  try {
    draw();
    for (;;) {
      await pause(intervalMs, ending.signal);
      if (ending.signal.aborted) return;
      try {
        view = readings.take(await client.status({ signal: ending.signal }), Date.now());
        trouble = '';
      } catch (error) {
        if (ending.signal.aborted) return;
        trouble = `  ${style.bad(`no answer: ${AiosError.from(error).message}`)}`;
      }
      draw();
    }
  } finally {
    context.signal.removeEventListener('abort', end);
    stopInterrupts();
    stopKeys();
    screen.close();
  }
}
