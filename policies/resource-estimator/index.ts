import type { Policy } from '../../sdk/policy.ts';
import roomiestNode from './roomiest-node.ts';

/** One line a file of this folder. */
export const resourceEstimators = [
  roomiestNode,
] as const satisfies readonly Policy<'resourceEstimator'>[];
