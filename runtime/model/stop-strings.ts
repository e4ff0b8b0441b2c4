import { AiosError } from '../../sdk/errors.ts';

export interface StopMatch {
  /** What is certainly part of the answer. */
  readonly text: string;
  /** The stop string that ended the answer; what follows it is dropped. */
  readonly stop?: string;
}

export interface StopMatcher {
  push(text: string): StopMatch;
  /** @returns text held back for a stop string that never came */
  flush(): string;
}

/** One stop string and how much of it the text so far ends with. */
interface Progress {
  readonly stop: string;
  /** Knuth–Morris–Pratt: for each matched length, the next shorter one that still fits. */
  readonly fallback: Int32Array;
  matched: number;
}

/**
 * Finds the first stop string in a text that comes in pieces: the one that is complete first, and of those complete at the
 * same character the longest. How the text is cut into pieces makes no difference. Holds back only what may still
 * become a stop string; each character costs O(stop strings).
 *
 * @throws {AiosError} REQUEST_INVALID - a stop string is empty
 */
export function createStopMatcher(stops: readonly string[]): StopMatcher {
  if (stops.includes('')) {
    throw new AiosError('REQUEST_INVALID', 'stop: a stop string is empty. Leave it out.');
  }
  const progresses = stops.map(
    (stop): Progress => ({ stop, fallback: fallbackOf(stop), matched: 0 }),
  );
  let held = '';
  let ended = false;
  return {
    push(text) {
      if (ended) return { text: '' };
      const pending = held + text;
      for (let at = held.length; at < pending.length; at++) {
        const complete = step(progresses, pending.charCodeAt(at));
        if (complete) {
          ended = true;
          held = '';
          return { text: pending.slice(0, at + 1 - complete.length), stop: complete };
        }
      }
      const hold = Math.max(0, ...progresses.map(({ matched }) => matched));
      held = pending.slice(pending.length - hold);
      return { text: pending.slice(0, pending.length - hold) };
    },
    flush() {
      const rest = held;
      held = '';
      ended = true;
      return rest;
    },
  };
}

/** @returns the longest stop string that this character completes */
function step(progresses: readonly Progress[], unit: number): string | undefined {
  let complete: string | undefined;
  for (const progress of progresses) {
    const { stop, fallback } = progress;
    while (progress.matched > 0 && stop.charCodeAt(progress.matched) !== unit) {
      progress.matched = fallback[progress.matched] ?? 0;
    }
    if (stop.charCodeAt(progress.matched) === unit) progress.matched++;
    if (progress.matched === stop.length && stop.length > (complete?.length ?? 0)) complete = stop;
  }
  return complete;
}

function fallbackOf(stop: string): Int32Array {
  const fallback = new Int32Array(stop.length + 1);
  let matched = 0;
  for (let at = 1; at < stop.length; at++) {
    while (matched > 0 && stop.charCodeAt(at) !== stop.charCodeAt(matched)) {
      matched = fallback[matched] ?? 0;
    }
    if (stop.charCodeAt(at) === stop.charCodeAt(matched)) matched++;
    fallback[at + 1] = matched;
  }
  return fallback;
}
