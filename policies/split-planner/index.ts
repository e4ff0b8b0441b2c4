import type { Policy } from '../../sdk/policy.ts';
import even from './even.ts';
import memoryAware from './memory-aware.ts';

/** One line a file of this folder. */
export const splitPlanners = [
  even,
  memoryAware,
] as const satisfies readonly Policy<'splitPlanner'>[];
