import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { cacheSettings, remember } from '../support/session-cache.ts';

/** AIOS's balancer for chat: a conversation's next turn finds the cache of the last one; a new one goes where fewest wait. */
export default definePolicy({
  hook: 'loadBalancer',
  name: 'policy.loadBalancer.session-aware-llm',
  version: 'v0.1.0',
  description:
    'Keeps a conversation on its instance, and starts new ones where the fewest requests wait. Choose it for chat with caches in the instances.',
  parameters: z.strictObject({
    /** Keep a session on its instance. */
    cache_sessions: z.boolean().default(true),
  }),
  settings: cacheSettings,
  evaluate({ instances, sessionId }, context) {
    const [idlest] = [...instances].sort(
      (a, b) => a.outstandingRequests - b.outstandingRequests || (a.id < b.id ? -1 : 1),
    );
    const fresh = idlest?.id ?? '';
    if (!context.parameters.cache_sessions) return { instanceId: fresh };
    const ids = instances.map(({ id }) => id);
    const session = remember(context.state, sessionId, ids, context.settings.session_cache_size);
    const instanceId = session.instanceId ?? fresh;
    context.state = session.keep(instanceId);
    return { instanceId };
  },
});
