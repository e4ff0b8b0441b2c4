import type { SharedAnswer } from './shared-answer.ts';

/** Answers under way and just given, by session and sequence. */
export interface AnswerCache {
  get(session: string, sequence: number): SharedAnswer | undefined;
  /** Keeps it while it runs, and for a while after when it succeeded: a failed packet may be tried again. */
  put(session: string, sequence: number, answer: SharedAnswer): void;
}

const maxKeptCharacters = 256 * 2 ** 10;

/** @param maxKept - finished answers kept, none of them larger than 256 KB; the oldest goes first */
export function createAnswerCache(maxKept: number): AnswerCache {
  const running = new Map<string, SharedAnswer>();
  const kept = new Map<string, SharedAnswer>();
  const keyOf = (session: string, sequence: number) => `${sequence} ${session}`;
  return {
    get(session, sequence) {
      const key = keyOf(session, sequence);
      const current = running.get(key);
      return current && !current.abandoned ? current : kept.get(key);
    },
    put(session, sequence, answer) {
      const key = keyOf(session, sequence);
      running.set(key, answer);
      void answer.done.then((answered) => {
        if (running.get(key) === answer) running.delete(key);
        if (!answered || answer.characters() > maxKeptCharacters) return;
        kept.set(key, answer);
        if (kept.size <= maxKept) return;
        const [oldest] = kept.keys();
        if (oldest !== undefined) kept.delete(oldest);
      });
    },
  };
}
