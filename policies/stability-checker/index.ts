import type { Policy } from '../../sdk/policy.ts';
import reportOnly from './report-only.ts';
import restartUnhealthy from './restart-unhealthy.ts';
import retryOnFail from './retry-on-fail.ts';
import unhealthyRetry from './unhealthy-retry.ts';

/** One line a file of this folder. */
export const stabilityCheckers = [
  reportOnly,
  restartUnhealthy,
  retryOnFail,
  unhealthyRetry,
] as const satisfies readonly Policy<'stabilityChecker'>[];
