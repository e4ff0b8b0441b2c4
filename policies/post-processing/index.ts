import type { Policy } from '../../sdk/policy.ts';
import unchangedOutput from './unchanged-output.ts';

/** One line a file of this folder. */
export const postProcessors = [
  unchangedOutput,
] as const satisfies readonly Policy<'post_processing'>[];
