import type { Policy } from '../../sdk/policy.ts';
import allowAll from './allow-all.ts';

/** One line a file of this folder. */
export const preChecks = [allowAll] as const satisfies readonly Policy<'preCheck'>[];
