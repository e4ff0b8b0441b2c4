import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { amount } from '../support/aios.ts';
import { scaleBy, scalingSettings } from '../support/scale-by.ts';

/** Choose it where requests wait long before any machine looks busy: models on devices nobody measures. */
export default definePolicy({
  hook: 'autoscaler',
  name: 'queue-depth',
  version: '1.0.0',
  description:
    'Keeps the requests that wait at each instance near a target. Choose it where waiting matters more than use.',
  parameters: z.strictObject({
    /** Requests in flight at an instance to keep. */
    target_outstanding: amount.pipe(z.number().positive()).default(4),
  }),
  settings: scalingSettings,
  evaluate(input, context) {
    const waiting = input.metrics.outstandingRequests.averages['1m'];
    const measured = waiting / Math.max(1, input.block.instances.length);
    const { target_outstanding: target } = context.parameters;
    return scaleBy(input, context, {
      ...{ what: 'requests in flight an instance', measured, target },
      // They wait for a first instance too.
      wakes: true,
    });
  },
});
