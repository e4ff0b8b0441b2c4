import type { Policy } from '../../sdk/policy.ts';
import even from './even.ts';
import fastest from './fastest.ts';
import memoryAware from './memory-aware.ts';

/** One line a file of this folder. */
export const splitPlanners = [
  even,
  fastest,
  memoryAware,
] as const satisfies readonly Policy<'splitPlanner'>[];
