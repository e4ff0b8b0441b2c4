import type { Detokenizer, StopMatcher } from '../model/index.ts';

/** A token that is certainly part of the answer, and the text that is shown with it. */
export interface ShownToken<T> {
  readonly item: T;
  readonly text: string;
}

/** Tokens that are shown last, and text that belongs to a token shown before. */
export interface Ending<T> {
  readonly shown: readonly ShownToken<T>[];
  readonly text: string;
}

export interface AnswerText<T> {
  /** @returns tokens that became part of the answer, in order; what ends it when a stop string came */
  push(
    token: number,
    item: T,
  ): { readonly shown: readonly ShownToken<T>[]; readonly ending?: Ending<T> };
  /** Ends the answer here, with all that was held back. */
  finish(): Ending<T>;
}

/**
 * Joins tokens and text: a token is shown once its first character is, so tokens that make up a stop string are neither
 * shown nor counted. Without stop strings nothing is held back but unfinished characters.
 */
export function createAnswerText<T>(
  detokenizer: Detokenizer,
  stops: StopMatcher | undefined,
): AnswerText<T> {
  // Offsets count characters of the whole answer, stop string included.
  const held: { readonly item: T; readonly start: number; readonly end: number }[] = [];
  let read = 0;
  let released = 0;
  let shownUpTo = 0;
  let unshown = '';

  const release = (text: string) => {
    released += text.length;
    unshown += text;
  };
  const takeText = (upTo: number): string => {
    const text = unshown.slice(0, Math.max(0, upTo - shownUpTo));
    unshown = unshown.slice(text.length);
    shownUpTo += text.length;
    return text;
  };
  const take = (certain: (start: number) => boolean): ShownToken<T>[] => {
    const shown: ShownToken<T>[] = [];
    for (let next = held[0]; next && certain(next.start); next = held[0]) {
      held.shift();
      shown.push({ item: next.item, text: takeText(held.length === 0 ? released : next.end) });
    }
    return shown;
  };

  return {
    push(token, item) {
      const text = detokenizer.push(token);
      held.push({ item, start: read, end: read + text.length });
      read += text.length;
      if (!stops) {
        release(text);
        return { shown: take(() => true) };
      }
      const match = stops.push(text);
      release(match.text);
      const shown = take((start) => start < released);
      if (match.stop === undefined) return { shown };
      return { shown, ending: { shown: [], text: takeText(released) } };
    },
    finish() {
      const rest = detokenizer.flush();
      let stopped = false;
      if (stops) {
        const match = stops.push(rest);
        stopped = match.stop !== undefined;
        release(match.text + (stopped ? '' : stops.flush()));
      } else {
        release(rest);
      }
      const shown = take((start) => !stopped || start < released);
      return { shown, text: takeText(released) };
    },
  };
}
