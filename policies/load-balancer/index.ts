import type { Policy } from '../../sdk/policy.ts';
import leastOutstanding from './least-outstanding.ts';
import prefixAffine from './prefix-affine.ts';
import roundRobin from './round-robin.ts';
import roundrobin from './roundrobin.ts';
import sessionAffine from './session-affine.ts';
import sessionAwareLlm from './session-aware-llm.ts';

/** One line a file of this folder. */
export const loadBalancers = [
  leastOutstanding,
  prefixAffine,
  roundRobin,
  roundrobin,
  sessionAffine,
  sessionAwareLlm,
] as const satisfies readonly Policy<'loadBalancer'>[];
