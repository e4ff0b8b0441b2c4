import type { Policy } from '../../sdk/policy.ts';
import retryThenRestart from './retry-then-restart.ts';

/** One line a file of this folder. */
export const failurePolicies = [
  retryThenRestart,
] as const satisfies readonly Policy<'failurePolicy'>[];
