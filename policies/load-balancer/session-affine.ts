import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { rendezvous } from '../support/hash.ts';

/** Choose it where a session's requests should meet again and nothing may be remembered about sessions. */
export default definePolicy({
  hook: 'loadBalancer',
  name: 'session-affine',
  version: '1.0.0',
  description:
    'Sends a session to the same instance by hashing, and moves few when instances come or go. Choose it for sessions with state in the instance.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate: ({ instances, sessionId }) => ({
    instanceId:
      rendezvous(
        sessionId,
        instances.map(({ id }) => id),
      ) ?? '',
  }),
});
