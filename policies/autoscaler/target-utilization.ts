import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { share } from '../support/aios.ts';
import { scaleBy, scalingSettings } from '../support/scale-by.ts';

/** Choose it first: what is scarce is usually known, and its use is measured. */
export default definePolicy({
  hook: 'autoscaler',
  name: 'target-utilization',
  version: '1.0.0',
  description:
    'Keeps the use of cores or GPUs near a target. Choose it where one resource is what instances run out of.',
  parameters: z.strictObject({
    /** What is looked at. */
    resource: z.enum(['cpu', 'gpu']).default('cpu'),
    /** Its use to keep, 0 to 1. */
    target: share.default(0.7),
    /** How far back the average looks. */
    window: z.enum(['1m', '5m', '15m']).default('1m'),
  }),
  settings: scalingSettings,
  evaluate(input, context) {
    const { resource, target, window } = context.parameters;
    const { cpuFraction, gpuUtilizationFraction } = input.metrics;
    const measured = (resource === 'cpu' ? cpuFraction : gpuUtilizationFraction)?.averages[window];
    return scaleBy(input, context, { what: `use of ${resource} (${window})`, measured, target });
  },
});
