import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { share } from '../support/aios.ts';
import { scaleBy, scalingSettings } from '../support/scale-by.ts';

/** AIOS's autoscaler for blocks without devices. */
export default definePolicy({
  hook: 'autoscaler',
  name: 'policy.autoscaler.cpu-usage-autoscaler',
  version: 'v1',
  description:
    'Follows the use of the processor cores over one minute. Choose it for blocks that compute on the processor.',
  parameters: z.strictObject({
    /** Use of the processor cores to keep, 0 to 1. */
    target_cpu_utilization: share.default(0.6),
  }),
  settings: scalingSettings,
  evaluate(input, context) {
    const { target_cpu_utilization: target } = context.parameters;
    const measured = input.metrics.cpuFraction?.averages['1m'];
    return scaleBy(input, context, { what: 'use of the cores', measured, target });
  },
});
