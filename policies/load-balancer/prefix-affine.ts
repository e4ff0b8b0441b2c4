import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { rendezvous } from '../support/hash.ts';

/** Choose it where prompts begin alike and instances keep what they computed of a beginning. */
export default definePolicy({
  hook: 'loadBalancer',
  name: 'prefix-affine',
  version: '1.0.0',
  description:
    'Sends prompts with the same beginning to the same instance, unless it is much busier than another. Choose it for shared system prompts.',
  parameters: z.strictObject({
    /** Characters that count as the beginning. */
    prefix_characters: z.number().int().positive().default(256),
    /** Requests in flight above the idlest instance's, from which the idlest is taken. */
    max_extra_requests: z.number().int().nonnegative().default(4),
  }),
  settings: z.strictObject({}),
  evaluate({ instances, sessionId, promptPrefix }, { parameters }) {
    const { prefix_characters: length, max_extra_requests: extra } = parameters;
    const ids = instances.map(({ id }) => id);
    const home = rendezvous((promptPrefix ?? sessionId).slice(0, length), ids);
    const [idlest] = [...instances].sort(
      (a, b) => a.outstandingRequests - b.outstandingRequests || (a.id < b.id ? -1 : 1),
    );
    const found = instances.find(({ id }) => id === home);
    const busy = (found?.outstandingRequests ?? 0) > (idlest?.outstandingRequests ?? 0) + extra;
    return { instanceId: (busy ? idlest?.id : home) ?? '' };
  },
});
