import type { Policy } from '../../sdk/policy.ts';
import sameOutput from './same-output.ts';

/** One line a file of this folder. */
export const functions = [sameOutput] as const satisfies readonly Policy<'function'>[];
