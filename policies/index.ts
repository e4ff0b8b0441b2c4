/**
 * The standard library of policies: a folder a hook, a file a policy. To add one, copy the shortest file of its folder
 * and add its line to that folder's `index.ts`.
 *
 * @module
 */
import type { AnyPolicy } from '../sdk/policy.ts';
import { adhocAllocators } from './adhoc-allocator/index.ts';
import { assignments } from './assignment/index.ts';
import { autoscalers } from './autoscaler/index.ts';
import { blockEvents } from './block-event/index.ts';
import { clusterAllocators } from './cluster-allocator/index.ts';
import { failurePolicies } from './failure-policy/index.ts';
import { functions } from './function/index.ts';
import { healthCheckers } from './health-checker/index.ts';
import { loadBalancers } from './load-balancer/index.ts';
import { postProcessors } from './post-processing/index.ts';
import { preChecks } from './pre-check/index.ts';
import { preProcessors } from './pre-processing/index.ts';
import { preemptions } from './preemption/index.ts';
import { qualityCheckers } from './quality-checker/index.ts';
import { quotaCheckers } from './quota-checker/index.ts';
import { rankings } from './ranking/index.ts';
import { resourceAllocators } from './resource-allocator/index.ts';
import { resourceEstimators } from './resource-estimator/index.ts';
import { splitPlanners } from './split-planner/index.ts';
import { stabilityCheckers } from './stability-checker/index.ts';
import { templates } from './template/index.ts';

/** Every built-in policy. Whoever composes the system passes them in; none has special standing. */
export const builtinPolicies = [
  ...clusterAllocators,
  ...resourceAllocators,
  ...loadBalancers,
  ...splitPlanners,
  ...adhocAllocators,
  ...preemptions,
  ...resourceEstimators,
  ...autoscalers,
  ...stabilityCheckers,
  ...preProcessors,
  ...postProcessors,
  ...blockEvents,
  ...preChecks,
  ...assignments,
  ...quotaCheckers,
  ...qualityCheckers,
  ...healthCheckers,
  ...rankings,
  ...templates,
  ...failurePolicies,
  ...functions,
] as const satisfies readonly AnyPolicy[];
