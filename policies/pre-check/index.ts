import type { Policy } from '../../sdk/policy.ts';
import allowAll from './allow-all.ts';
import denyActions from './deny-actions.ts';
import requireTags from './require-tags.ts';

/** One line a file of this folder. */
export const preChecks = [
  allowAll,
  denyActions,
  requireTags,
] as const satisfies readonly Policy<'preCheck'>[];
