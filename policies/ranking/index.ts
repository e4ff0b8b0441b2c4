import type { Policy } from '../../sdk/policy.ts';
import byMetric from './by-metric.ts';
import givenOrder from './given-order.ts';

/** One line a file of this folder. */
export const rankings = [byMetric, givenOrder] as const satisfies readonly Policy<'ranking'>[];
