import { setMaxListeners } from 'node:events';

/** A signal that aborts with the first of others. */
export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Lets go of the others; from then on the signal does not abort by them. */
  release(): void;
}

/**
 * Instead of `AbortSignal.any`, which leaves an entry in each source for every signal made of it, for as long as the
 * source lives.
 *
 * @param sources - undefined ones are left out; the signal aborts for the reason of the first that does
 */
export function linkSignals(...sources: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  const given = sources.filter((source) => source !== undefined);
  const release = (): void => {
    for (const source of given) source.removeEventListener('abort', abort);
  };
  function abort(): void {
    const first = given.find(({ aborted }) => aborted);
    release();
    controller.abort(first?.reason);
  }
  for (const source of given) source.addEventListener('abort', abort);
  if (given.some(({ aborted }) => aborted)) abort();
  return { signal: controller.signal, release };
}
