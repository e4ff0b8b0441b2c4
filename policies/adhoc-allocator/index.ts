import type { Policy } from '../../sdk/policy.ts';
import mostFree from './most-free.ts';

/** One line a file of this folder. */
export const adhocAllocators = [mostFree] as const satisfies readonly Policy<'adhocAllocator'>[];
