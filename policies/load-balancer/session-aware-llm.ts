import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { cacheSettings, remembered, withSession } from '../support/session-cache.ts';

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
    const ids = instances.map(({ id }) => id);
    const { cache_sessions: caches } = context.parameters;
    const known = caches ? remembered(context.state, sessionId, ids) : undefined;
    if (known !== undefined) return { instanceId: known };
    const [idlest] = [...instances].sort(
      (a, b) => a.outstandingRequests - b.outstandingRequests || (a.id < b.id ? -1 : 1),
    );
    const instanceId = idlest?.id ?? '';
    if (caches) {
      const size = context.settings.session_cache_size;
      context.state = withSession(context.state, sessionId, instanceId, size);
    }
    return { instanceId };
  },
});
