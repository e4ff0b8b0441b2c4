import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default: most failures pass, some pass with a new process, and the rest is for people. */
export default definePolicy({
  hook: 'failurePolicy',
  name: 'retry-then-restart',
  version: '1.0.0',
  description:
    'Tries again a few times, waiting longer each time, then restarts, then gives up and says so. Choose it for failures that mostly pass.',
  parameters: z.strictObject({
    /** Failures in a row that are answered by trying again. */
    retries: z.number().int().nonnegative().default(2),
    /** Failures after those that are answered by a restart. */
    restarts: z.number().int().nonnegative().default(3),
    /** Before the first retry; twice as long before each next. */
    first_delay_ms: z.number().nonnegative().default(1000),
    max_delay_ms: z.number().nonnegative().default(60_000),
  }),
  settings: z.strictObject({}),
  evaluate({ failure, subject }, { parameters, random }) {
    const { retries, restarts, first_delay_ms: first, max_delay_ms: longest } = parameters;
    const { count, message } = failure;
    if (count <= retries) {
      const delayMs = Math.min(longest, first * 2 ** (count - 1));
      // Half of it by chance: those that failed together do not come back together.
      return { actions: [{ type: 'retry', afterMs: Math.round(delayMs * (0.5 + random() / 2)) }] };
    }
    if (count <= retries + restarts) return { actions: [{ type: 'restart' }] };
    const text = `${subject} failed ${count} times in a row: ${message}`.slice(0, 1000);
    return {
      actions: [
        { type: 'notify', message: text },
        { type: 'give-up', message: text },
      ],
    };
  },
});
