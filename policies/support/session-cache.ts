import { z } from 'zod';
import type { PolicyState } from '../../sdk/hooks.ts';
import { amount } from './aios.ts';

/** Sessions take about a hundred characters each of the 64 KiB that a policy may keep. */
const mostSessions = 500;
const longestSessionId = 64;

export const cacheSettings = z.strictObject({
  /** Sessions that are remembered, the latest; more than 500 are not kept. */
  session_cache_size: amount.pipe(z.number().int().nonnegative()).default(mostSessions),
});

type Sessions = readonly (readonly [sessionId: string, instanceId: string])[];

/** Oldest first: what was used last is dropped last. */
const sessionsOf = ({ sessions }: PolicyState): Sessions =>
  Array.isArray(sessions) ? (sessions as unknown as Sessions) : [];

const shortId = (sessionId: string): string => sessionId.slice(-longestSessionId);

/** @returns where the session was served last, while that instance runs */
export function remembered(
  state: PolicyState,
  sessionId: string,
  instanceIds: readonly string[],
): string | undefined {
  const found = sessionsOf(state).find(([id]) => id === shortId(sessionId))?.[1];
  return found !== undefined && instanceIds.includes(found) ? found : undefined;
}

/** The state with this session as its latest. */
export function withSession(
  state: PolicyState,
  sessionId: string,
  instanceId: string,
  size: number,
): PolicyState {
  const others = sessionsOf(state).filter(([id]) => id !== shortId(sessionId));
  const sessions = [...others, [shortId(sessionId), instanceId]];
  const kept = Math.min(size, mostSessions);
  return { ...state, sessions: (kept === 0 ? [] : sessions.slice(-kept)) as never };
}
