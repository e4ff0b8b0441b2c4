import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { share } from '../support/aios.ts';
import { scaleBy, scalingSettings } from '../support/scale-by.ts';

/** AIOS's autoscaler for detectors. Its published example gives it a target for the processor: whichever target is given counts. */
export default definePolicy({
  hook: 'autoscaler',
  name: 'policy.autoscaler.gpu-based-autoscaler',
  version: 'v0.0.01',
  description:
    'Follows the use of the GPUs over one minute, or of the processors where that is the target. Choose it for models that start quickly.',
  parameters: z.strictObject({
    /** Use of the devices to keep, 0 to 1. */
    target_gpu_utilization: share.optional(),
    /** Use of the processor cores to keep, 0 to 1. */
    target_cpu_utilization: share.optional(),
  }),
  settings: scalingSettings,
  evaluate(input, context) {
    const { target_gpu_utilization: gpu, target_cpu_utilization: cpu } = context.parameters;
    const { gpuUtilizationFraction, cpuFraction } = input.metrics;
    return gpu === undefined && cpu !== undefined
      ? scaleBy(input, context, cpuFraction?.averages['1m'], cpu, 'use of the cores')
      : scaleBy(
          input,
          context,
          gpuUtilizationFraction?.averages['1m'],
          gpu ?? 0.7,
          'use of the GPUs',
        );
  },
});
