import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { cacheSettings, remember } from '../support/session-cache.ts';
import { nextInTurn } from '../support/turns.ts';

/** AIOS's round robin: sessions in turn, and with `cache_sessions` each stays where its conversation is. */
export default definePolicy({
  hook: 'loadBalancer',
  name: 'policy.loadBalancer.roundrobin',
  version: 'v0.0.1',
  description:
    'Gives requests to the instances in turn, and with cache_sessions keeps each conversation where it began. Choose it for conversations that all cost about the same.',
  parameters: z.strictObject({
    /** Keep a session on its instance. */
    cache_sessions: z.boolean().default(false),
  }),
  settings: cacheSettings,
  evaluate({ instances, sessionId }, context) {
    const { state } = context;
    if (!context.parameters.cache_sessions) {
      const last = nextInTurn(instances, state.last);
      context.state = { last };
      return { instanceId: last };
    }
    const ids = instances.map(({ id }) => id);
    const session = remember(state, sessionId, ids, context.settings.session_cache_size);
    if (session.instanceId !== undefined) {
      context.state = session.keep(session.instanceId);
      return { instanceId: session.instanceId };
    }
    const last = nextInTurn(instances, state.last);
    context.state = { ...session.keep(last), last };
    return { instanceId: last };
  },
});
