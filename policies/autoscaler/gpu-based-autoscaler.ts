import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { share } from '../support/aios.ts';
import { type Aim, scaleBy, scalingSettings } from '../support/scale-by.ts';

/**
 * AIOS's autoscaler for detectors. Its published example gives it a target for the processor: whichever target is given
 * counts, and of two the one that is missed further.
 */
export default definePolicy({
  hook: 'autoscaler',
  name: 'policy.autoscaler.gpu-based-autoscaler',
  version: 'v0.0.01',
  description:
    'Follows the use of the GPUs over one minute, or of the processors where that is the target. Choose it for models that start quickly.',
  parameters: z.strictObject({
    /** Use of the devices to keep, 0 to 1; 0.7 where neither is given. */
    target_gpu_utilization: share.optional(),
    /** Use of the processor cores to keep, 0 to 1. */
    target_cpu_utilization: share.optional(),
  }),
  settings: scalingSettings,
  evaluate(input, context) {
    const { target_gpu_utilization: gpu, target_cpu_utilization: cpu } = context.parameters;
    const { gpuUtilizationFraction, cpuFraction } = input.metrics;
    const gpus = {
      what: 'use of the GPUs',
      measured: gpuUtilizationFraction?.averages['1m'],
      target: gpu ?? 0.7,
    };
    if (cpu === undefined) return scaleBy(input, context, gpus);
    const cores = {
      what: 'use of the cores',
      measured: cpuFraction?.averages['1m'],
      target: cpu,
    };
    // What is not known might be the one that is missed further.
    const missed = ({ measured = Number.POSITIVE_INFINITY, target }: Aim): number =>
      measured / target;
    return scaleBy(
      input,
      context,
      gpu === undefined || missed(cores) > missed(gpus) ? cores : gpus,
    );
  },
});
