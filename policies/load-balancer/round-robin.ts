import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

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
    const ids = instances.map(({ id }) => id).sort();
    // The last id, not a position: instances come and go without anyone being served twice in a row.
    const { last } = context.state;
    const next = ids.find((id) => typeof last === 'string' && id > last) ?? ids[0] ?? '';
    context.state = { last: next };
    return { instanceId: next };
  },
});
