import type { Policy } from '../../sdk/policy.ts';
import reportOnly from './report-only.ts';

/** One line a file of this folder. */
export const stabilityCheckers = [
  reportOnly,
] as const satisfies readonly Policy<'stabilityChecker'>[];
