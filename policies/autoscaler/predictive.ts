import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { amount } from '../support/aios.ts';
import { scaleBy, scalingSettings } from '../support/scale-by.ts';

/** Choose it where an instance takes minutes to start, so that one that is needed must be asked for before. */
export default definePolicy({
  hook: 'autoscaler',
  name: 'predictive',
  version: '1.0.0',
  description:
    'Follows requests a second as they will be when a new instance is ready, by the trend of the last minutes. Choose it for instances that start slowly.',
  parameters: z.strictObject({
    /** What one instance answers. */
    requests_per_second: amount.pipe(z.number().positive()).default(1),
    /** How far ahead: the time an instance takes to start. */
    horizon_seconds: amount.default(120),
  }),
  settings: scalingSettings,
  evaluate(input, context) {
    const { requests_per_second: target, horizon_seconds: horizon } = context.parameters;
    const { averages, trendPerSecond } = input.metrics.requestsPerSecond;
    // A falling trend is not believed in: what goes down by it comes up too late.
    const expected = averages['1m'] + Math.max(0, trendPerSecond) * horizon;
    const measured = expected / Math.max(1, input.block.instances.length);
    const what = 'requests a second an instance, as expected';
    return scaleBy(input, context, { what, measured, target, wakes: true });
  },
});
