import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default: follows how fast instances really answer, whatever makes them slow. */
export default definePolicy({
  hook: 'loadBalancer',
  name: 'least-outstanding',
  version: '1.0.0',
  description:
    'Picks the instance with the fewest requests in flight, at random among equals. Choose it unless requests all cost the same.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate({ instances }, { random }) {
    const fewest = Math.min(...instances.map((instance) => instance.outstandingRequests));
    const idle = instances.filter((instance) => instance.outstandingRequests === fewest);
    return { instanceId: idle[Math.floor(random() * idle.length)]?.id ?? '' };
  },
});
