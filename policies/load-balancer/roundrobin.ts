import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';
import { amount } from '../support/aios.ts';
import { cacheSettings, remembered, withSession } from '../support/session-cache.ts';

/** AIOS's round robin: sessions in turn, and with `cache_sessions` each stays where its conversation is. */
export default definePolicy({
  hook: 'loadBalancer',
  name: 'policy.loadBalancer.roundrobin',
  version: 'v0.0.1',
  description:
    'Gives sessions to the instances in turn and keeps each where it began. Choose it for conversations that all cost about the same.',
  parameters: z.strictObject({
    /** Keep a session on its instance. */
    cache_sessions: z.boolean().default(false),
    weight: amount.optional(),
  }),
  settings: cacheSettings,
  evaluate({ instances, sessionId }, context) {
    const ids = instances.map(({ id }) => id).sort();
    const { cache_sessions: caches } = context.parameters;
    const known = caches ? remembered(context.state, sessionId, ids) : undefined;
    if (known !== undefined) return { instanceId: known };
    const { last } = context.state;
    const next = ids.find((id) => typeof last === 'string' && id > last) ?? ids[0] ?? '';
    const size = context.settings.session_cache_size;
    const state = caches ? withSession(context.state, sessionId, next, size) : context.state;
    context.state = { ...state, last: next };
    return { instanceId: next };
  },
});
