import type { Policy } from '../../sdk/policy.ts';
import fewestVictims from './fewest-victims.ts';

/** One line a file of this folder. */
export const preemptions = [fewestVictims] as const satisfies readonly Policy<'preemption'>[];
