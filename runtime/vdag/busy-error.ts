import { AiosError } from '../../sdk/errors.ts';
import type { GenerationLimits } from '../../sdk/spec/vdag.ts';

export interface BusyFacts {
  readonly modelUri: string;
  readonly limits: GenerationLimits;
  /** The line is full, or it took too long in it. */
  readonly why: 'full' | 'late';
  /** Answers under way: of all, and of this client. */
  readonly open: number;
  readonly clientOpen: number;
  /** Still in line. */
  readonly waiting: number;
  readonly waitedMs: number;
  /** How long an answer holds its place lately; undefined: not known. */
  readonly answerMs: number | undefined;
}

/** Clients read a longer one as «never». */
const maxRetryAfterMs = 60_000;
const unknownRetryAfterMs = 1000;

/** Says how many wait and about how long, and when to ask again: `details.retryAfterMs`. */
export function busyError(facts: BusyFacts): AiosError {
  const { modelUri, limits, why, open, clientOpen, waiting, answerMs } = facts;
  const most = limits.maxSessionsPerClient ?? Number.POSITIVE_INFINITY;
  const taken =
    clientOpen >= most
      ? `you have ${clientOpen} answers under way, the most for one client (generation.limits.maxSessionsPerClient)`
      : `all ${open} places for answers are taken`;
  const reason =
    why === 'full'
      ? `${taken} and ${waiting} requests wait, the most that may (generation.limits.maxWaiting)`
      : `${taken}, and none became free for this request in ${Math.round(facts.waitedMs)} ms (generation.limits.maxWaitMs)`;
  // Answers did not begin together, so places are given back one after another.
  const expectedWaitMs =
    answerMs === undefined ? undefined : ((waiting + 1) * answerMs) / Math.max(1, open);
  const retryAfterMs = Math.min(expectedWaitMs ?? unknownRetryAfterMs, maxRetryAfterMs);
  const when =
    expectedWaitMs === undefined
      ? 'in a moment'
      : `in about ${Math.ceil(expectedWaitMs / 1000)} s, as fast as answers come lately`;
  return new AiosError('BUSY', `model '${modelUri}': ${reason}. Ask again ${when}.`, {
    details: {
      ...{ waiting, maxWaiting: limits.maxWaiting, openSessions: open },
      retryAfterMs: Math.ceil(retryAfterMs),
      ...(expectedWaitMs === undefined ? {} : { expectedWaitMs: Math.ceil(expectedWaitMs) }),
    },
  });
}
