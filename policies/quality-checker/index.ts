import type { Policy } from '../../sdk/policy.ts';
import acceptAll from './accept-all.ts';

/** One line a file of this folder. */
export const qualityCheckers = [acceptAll] as const satisfies readonly Policy<'qualityChecker'>[];
