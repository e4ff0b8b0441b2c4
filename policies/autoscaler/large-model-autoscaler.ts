import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { share } from '../support/aios.ts';
import { scaleBy, scalingSettings } from '../support/scale-by.ts';

/** AIOS's autoscaler for large models: a start is dear, so it looks at five minutes and not at one. */
export default definePolicy({
  hook: 'autoscaler',
  name: 'policy.autoscaler.large-model-autoscaler',
  version: 'v0.0.1',
  description:
    'Follows the mean use of the GPUs over five minutes. Choose it for models that take long to start.',
  parameters: z.strictObject({
    /** Use of the devices to keep, 0 to 1. */
    target_gpu_utilization: share.default(0.8),
  }),
  settings: scalingSettings,
  evaluate(input, context) {
    const { target_gpu_utilization: target } = context.parameters;
    const measured = input.metrics.gpuUtilizationFraction?.averages['5m'];
    return scaleBy(input, context, { what: 'use of the GPUs', measured, target });
  },
});
