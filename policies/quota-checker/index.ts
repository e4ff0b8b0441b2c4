import type { Policy } from '../../sdk/policy.ts';
import unlimited from './unlimited.ts';

/** One line a file of this folder. */
export const quotaCheckers = [unlimited] as const satisfies readonly Policy<'quotaChecker'>[];
