import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** Callers take about a hundred characters each of the 64 KiB that a policy may keep. */
const mostCallers = 400;

type Buckets = Readonly<Record<string, readonly [level: number, atMs: number]>>;

/** Choose it where every caller has a right to the same rate and bursts are fine. */
export default definePolicy({
  hook: 'quotaChecker',
  name: 'token-bucket',
  version: '1.0.0',
  description:
    'Gives each caller a rate, and lets what was saved up be used at once. Choose it to bound what one caller can take.',
  parameters: z.strictObject({
    /** Cost that a caller may spend a second. */
    rate_per_second: z.number().positive().default(1),
    /** Cost that may be saved up. */
    burst: z.number().positive().default(10),
  }),
  settings: z.strictObject({}),
  evaluate({ caller, cost }, context) {
    const { rate_per_second: rate, burst } = context.parameters;
    const { now } = context;
    const buckets = (context.state.buckets ?? {}) as Buckets;
    const name = caller.slice(-64);
    const [level, atMs] = buckets[name] ?? [burst, now];
    const filled = Math.min(burst, level + (Math.max(0, now - atMs) / 1000) * rate);
    const allowed = cost <= filled;
    const others = Object.entries(buckets)
      .filter(([other, [left, since]]) => {
        // A bucket that is full again says nothing.
        return other !== name && left + ((now - since) / 1000) * rate < burst;
      })
      .sort(([, a], [, b]) => b[1] - a[1])
      .slice(0, mostCallers - 1);
    const own = [name, [allowed ? filled - cost : filled, now]] as const;
    context.state = { buckets: Object.fromEntries([...others, own]) as never };
    if (allowed) return { allowed: true };
    return {
      allowed: false,
      reason: `${caller} may spend ${rate} a second, ${burst} at once`,
      retryAfterMs: cost > burst ? 0 : Math.ceil((1000 * (cost - filled)) / rate),
    };
  },
});
