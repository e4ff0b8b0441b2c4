import type { Policy } from '../../sdk/policy.ts';
import givenOrder from './given-order.ts';

/** One line a file of this folder. */
export const rankings = [givenOrder] as const satisfies readonly Policy<'ranking'>[];
