import type { Policy } from '../../sdk/policy.ts';
import bestScore from './best-score.ts';

/** One line a file of this folder. */
export const clusterAllocators = [
  bestScore,
] as const satisfies readonly Policy<'clusterAllocator'>[];
