import type { Policy } from '../../sdk/policy.ts';
import leastOutstanding from './least-outstanding.ts';
import roundRobin from './round-robin.ts';

/** One line a file of this folder. */
export const loadBalancers = [
  leastOutstanding,
  roundRobin,
] as const satisfies readonly Policy<'loadBalancer'>[];
