import { setMaxListeners } from 'node:events';
import { AiosError } from '../../sdk/errors.ts';

/** Longest delay a timer can hold; longer ones would fire at once. */
const maxTimerMs = 2 ** 31 - 1;

/** One signal for «the caller went away» and «time is up», and which of the two it was. */
export interface RequestScope {
  readonly signal: AbortSignal;
  /** @throws {AiosError} DEADLINE_EXCEEDED or CANCELLED, once the signal has aborted */
  throwIfOver(): void;
  /** Settles with the work, or rejects as soon as the scope is over. */
  race<T>(work: Promise<T>): Promise<T>;
  /** Aborts whatever still runs under the scope and lets go of the timer. */
  end(): void;
}

/**
 * @param subject - names the work in errors: `model 'x'`
 * @param deadlineMs - Unix milliseconds
 * @param outer - each of them cancels
 */
export function openScope(
  subject: string,
  deadlineMs: number,
  ...outer: readonly AbortSignal[]
): RequestScope {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  const startedAtMs = Date.now();
  const cancel = () => {
    const cause = outer.find((signal) => signal.aborted)?.reason;
    controller.abort(
      AiosError.isInstance(cause)
        ? cause
        : new AiosError('CANCELLED', `${subject}: the caller went away.`, { cause }),
    );
  };
  const expire = () =>
    controller.abort(
      new AiosError(
        'DEADLINE_EXCEEDED',
        `${subject} did not finish within ${Math.max(0, deadlineMs - startedAtMs)} ms. Allow more time or ask for less.`,
      ),
    );
  const timer = setTimeout(expire, Math.min(Math.max(0, deadlineMs - startedAtMs), maxTimerMs));
  timer.unref();
  if (outer.some((signal) => signal.aborted)) cancel();
  // Not AbortSignal.any: it keeps an entry for every request in a long-lived source.
  for (const signal of outer) signal.addEventListener('abort', cancel);

  // Not Promise.race with one promise for the end: it keeps the result of every race until the scope is over.
  const racing = new Set<(reason: unknown) => void>();
  controller.signal.addEventListener(
    'abort',
    () => {
      for (const reject of racing) reject(controller.signal.reason);
      racing.clear();
    },
    { once: true },
  );

  return {
    signal: controller.signal,
    throwIfOver: () => controller.signal.throwIfAborted(),
    race: (work) =>
      new Promise((resolve, reject) => {
        const settle = <V>(how: (value: V) => void) => {
          return (value: V) => {
            racing.delete(reject);
            how(value);
          };
        };
        // Listened to in any case: work that fails after the scope is over is nobody's unhandled rejection.
        work.then(settle(resolve), settle(reject));
        if (controller.signal.aborted) reject(controller.signal.reason);
        else racing.add(reject);
      }),
    end() {
      clearTimeout(timer);
      for (const signal of outer) signal.removeEventListener('abort', cancel);
      if (!controller.signal.aborted) {
        controller.abort(new AiosError('CANCELLED', `${subject} has ended.`));
      }
    },
  };
}
