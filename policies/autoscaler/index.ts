import type { Policy } from '../../sdk/policy.ts';
import cpuUsageAutoscaler from './cpu-usage-autoscaler.ts';
import gpuBasedAutoscaler from './gpu-based-autoscaler.ts';
import hold from './hold.ts';
import largeModelAutoscaler from './large-model-autoscaler.ts';
import predictive from './predictive.ts';
import queueDepth from './queue-depth.ts';
import schedule from './schedule.ts';
import targetUtilization from './target-utilization.ts';

/** One line a file of this folder. */
export const autoscalers = [
  cpuUsageAutoscaler,
  gpuBasedAutoscaler,
  hold,
  largeModelAutoscaler,
  predictive,
  queueDepth,
  schedule,
  targetUtilization,
] as const satisfies readonly Policy<'autoscaler'>[];
