import { z } from 'zod';
import type { PolicyState } from '../../sdk/hooks.ts';
import type { Json } from '../../sdk/packet.ts';
import { amount } from './aios.ts';
import { digestText } from './hash.ts';

/** A session takes about 17 characters of the 64 KiB that a policy may keep. */
const mostSessions = 2500;
/** Their names are kept once each. */
const mostInstances = 40;

export const cacheSettings = z.strictObject({
  /** Sessions that are remembered, those that were heard of last; more than 2500 are not kept. */
  session_cache_size: amount.pipe(z.number().int().nonnegative()).default(1000),
});

/** Instances by name, and of each session, the one heard of last at the end, the index of its instance. */
interface Cache {
  readonly instances: readonly string[];
  readonly sessions: readonly (readonly [session: string, instance: number])[];
}

function cacheOf({ cache }: PolicyState): Cache {
  const { instances, sessions } = (cache ?? {}) as unknown as Partial<Cache>;
  return { instances: instances ?? [], sessions: sessions ?? [] };
}

/** Where a session was served last, and what to keep when it is served again. */
export interface Remembered {
  /** Absent where nothing is known, and where that instance is gone. */
  readonly instanceId?: string;
  /** @returns the state to assign; the same one where nothing needs to be written */
  keep(instanceId: string): PolicyState;
}

/** Looks a session up. @param size - `session_cache_size` */
export function remember(
  state: PolicyState,
  sessionId: string,
  instanceIds: readonly string[],
  size: number,
): Remembered {
  const { instances, sessions } = cacheOf(state);
  const key = digestText(sessionId);
  const at = sessions.findIndex(([session]) => session === key);
  const name = instances[sessions[at]?.[1] ?? -1];
  const known = name !== undefined && instanceIds.includes(name) ? name : undefined;

  function keep(instanceId: string): PolicyState {
    const limit = Math.min(size, mostSessions);
    // Written only when it comes near to being dropped: most requests change nothing.
    if (known === instanceId && sessions.length <= limit && at >= sessions.length - limit / 2) {
      return state;
    }
    const running = [instanceId, ...instances.filter((each) => instanceIds.includes(each))];
    const kept = [...new Set(running)].slice(0, mostInstances);
    const moved = instances.map((each) => kept.indexOf(each));
    const next = sessions.flatMap(([session, on]): [string, number][] => {
      const to = moved[on] ?? -1;
      return session === key || to < 0 ? [] : [[session, to]];
    });
    next.push([key, 0]);
    const cache = { instances: kept, sessions: limit < 1 ? [] : next.slice(-limit) };
    return { ...state, cache: cache as unknown as Json };
  }
  return { ...(known === undefined ? {} : { instanceId: known }), keep };
}
