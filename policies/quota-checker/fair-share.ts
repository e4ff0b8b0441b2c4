import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { callerKey, callerName, everyoneElse } from '../support/callers.ts';

const mostCallers = 400;

/** Choose it where a fixed capacity is shared, and whoever is alone may have all of it. */
export default definePolicy({
  hook: 'quotaChecker',
  name: 'fair-share',
  version: '1.0.0',
  description:
    'Divides a capacity among the callers that ask, by weight, window by window. Choose it where nobody may crowd out the others.',
  parameters: z.strictObject({
    /** Cost that all callers together may spend in a window. */
    capacity: z.number().positive().default(100),
    window_seconds: z.number().positive().default(60),
    /** Caller to weight; 1 for those that are not named. */
    weights: z.record(z.string(), z.number().positive()).default({}),
  }),
  settings: z.strictObject({}),
  evaluate({ caller, cost }, context) {
    const { capacity, window_seconds: seconds, weights: given } = context.parameters;
    const weights = new Map(Object.entries(given).map(([name, each]) => [callerKey(name), each]));
    const window = Math.floor(context.now / (seconds * 1000));
    const fresh = context.state.window !== window;
    const before = fresh ? {} : ((context.state.spent ?? {}) as Readonly<Record<string, number>>);
    const spent = new Map(Object.entries(before));
    const own = callerKey(caller);
    const key = spent.has(own) || spent.size < mostCallers ? own : everyoneElse;
    if (!spent.has(key)) spent.set(key, 0);

    let used = 0;
    let total = 0;
    for (const [name, each] of spent) {
      used += each;
      total += weights.get(name) ?? 1;
    }
    const fairOf = (name: string): number => (capacity * (weights.get(name) ?? 1)) / total;
    const has = spent.get(key) ?? 0;
    // Beyond the fair share only what nobody else has a claim to.
    let claims = 0;
    for (const [name, each] of spent) if (name !== key) claims += Math.max(0, fairOf(name) - each);
    const allowed =
      used + cost <= capacity && (has + cost <= fairOf(key) || used + cost + claims <= capacity);
    if (allowed) spent.set(key, has + cost);
    context.state = { window, spent: Object.fromEntries(spent) };
    if (allowed) return { allowed: true };
    const endsMs = (window + 1) * seconds * 1000;
    return {
      allowed: false,
      reason: `${callerName(caller)} has spent ${has} of a fair share of ${fairOf(key).toFixed(1)} in this window`,
      retryAfterMs: Math.max(0, endsMs - context.now),
    };
  },
});
