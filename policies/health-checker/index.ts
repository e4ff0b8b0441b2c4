import type { Policy } from '../../sdk/policy.ts';
import everyBlockReady from './every-block-ready.ts';

/** One line a file of this folder. */
export const healthCheckers = [
  everyBlockReady,
] as const satisfies readonly Policy<'healthChecker'>[];
