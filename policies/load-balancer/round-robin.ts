import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { nextInTurn } from '../support/turns.ts';

/** Choose it where every request costs the same and an even count matters more than the shortest wait. */
export default definePolicy({
  hook: 'loadBalancer',
  name: 'round-robin',
  version: '1.0.0',
  description:
    'Gives requests to the instances in turn. Choose it when all requests cost about the same.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate({ instances }, context) {
    const last = nextInTurn(instances, context.state.last);
    context.state = { last };
    return { instanceId: last };
  },
});
