import type { Policy } from '../../sdk/policy.ts';
import fewestVictims from './fewest-victims.ts';
import never from './never.ts';

/** One line a file of this folder. */
export const preemptions = [
  fewestVictims,
  never,
] as const satisfies readonly Policy<'preemption'>[];
