import type { Policy } from '../../sdk/policy.ts';
import unchangedInput from './unchanged-input.ts';

/** One line a file of this folder. */
export const preProcessors = [
  unchangedInput,
] as const satisfies readonly Policy<'pre_processing'>[];
