/**
 * The standard library of policies: a folder a hook, a file a policy. To add one, copy the shortest file of its folder
 * and add its line to that folder's `index.ts`.
 *
 * @module
 */
import type { AnyPolicy } from '../sdk/policy.ts';
import { clusterAllocators } from './cluster-allocator/index.ts';
import { loadBalancers } from './load-balancer/index.ts';
import { resourceAllocators } from './resource-allocator/index.ts';
import { splitPlanners } from './split-planner/index.ts';

/** Every built-in policy. Whoever composes the system passes them in; none has special standing. */
export const builtinPolicies = [
  ...clusterAllocators,
  ...resourceAllocators,
  ...loadBalancers,
  ...splitPlanners,
] as const satisfies readonly AnyPolicy[];
