import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { callerKey, callerName, everyoneElse } from '../support/callers.ts';

/** They take about a hundred characters each of the 64 KiB that a policy may keep. */
const mostCallers = 400;

type Bucket = readonly [level: number, atMs: number];

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
    /** Cost that may be saved up. Nothing dearer is ever admitted. */
    burst: z.number().positive().default(10),
  }),
  settings: z.strictObject({}),
  evaluate({ caller, cost }, context) {
    const { rate_per_second: rate, burst } = context.parameters;
    const { now } = context;
    // A clock that was set back fills nothing.
    const levelOf = ([level, atMs]: Bucket): number =>
      Math.min(burst, level + (Math.max(0, now - atMs) / 1000) * rate);
    const kept = Object.entries((context.state.buckets ?? {}) as Readonly<Record<string, Bucket>>);
    // A full bucket says nothing. All others stay: who is forgotten could spend a whole burst again.
    const buckets = new Map(kept.filter(([, bucket]) => levelOf(bucket) < burst));
    const own = callerKey(caller);
    const key = buckets.has(own) || buckets.size < mostCallers ? own : everyoneElse;
    // A newcomer may be one of those who had no bucket of their own a moment ago.
    const from = buckets.get(key) ?? buckets.get(everyoneElse);
    const level = from ? levelOf(from) : burst;
    const allowed = cost <= level;
    buckets.set(key, [allowed ? level - cost : level, Math.max(now, from?.[1] ?? now)]);
    context.state = { buckets: Object.fromEntries(buckets) as never };
    if (allowed) return { allowed: true };
    const reason = `${callerName(caller)} may spend ${rate} a second, ${burst} at once`;
    return cost > burst
      ? { allowed: false, reason: `${reason}; this costs ${cost}` }
      : { allowed: false, reason, retryAfterMs: Math.ceil((1000 * (cost - level)) / rate) };
  },
});
