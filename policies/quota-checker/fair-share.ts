import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

const mostCallers = 400;

type Spent = Readonly<Record<string, number>>;

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
    const { capacity, window_seconds: seconds, weights } = context.parameters;
    const window = Math.floor(context.now / (seconds * 1000));
    const fresh = context.state.window !== window;
    const spent: Spent = fresh ? {} : ((context.state.spent ?? {}) as Spent);
    const weightOf = (name: string): number => weights[name] ?? 1;
    const name = caller.slice(-64);
    const callers = new Set([...Object.keys(spent), name]);
    const total = [...callers].reduce((sum, each) => sum + weightOf(each), 0);
    const used = Object.values(spent).reduce((sum, each) => sum + each, 0);
    const own = spent[name] ?? 0;
    const fair = (capacity * weightOf(name)) / total;
    // Beyond the fair share only what nobody else has a claim to.
    const claims = [...callers].reduce((sum, each) => {
      const left = (capacity * weightOf(each)) / total - (spent[each] ?? 0);
      return each === name ? sum : sum + Math.max(0, left);
    }, 0);
    const fits = used + cost <= capacity;
    const allowed = fits && (own + cost <= fair || used + cost + claims <= capacity);
    const known = callers.size <= mostCallers || spent[name] !== undefined;
    const next = { ...spent, ...(known ? { [name]: own + (allowed ? cost : 0) } : {}) };
    context.state = { window, spent: next };
    if (allowed) return { allowed: true };
    const endsMs = (window + 1) * seconds * 1000;
    return {
      allowed: false,
      reason: `${caller} has spent ${own} of a fair share of ${fair.toFixed(1)} in this window`,
      retryAfterMs: Math.max(0, endsMs - context.now),
    };
  },
});
