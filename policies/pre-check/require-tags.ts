import { z } from 'zod';
import { preCheckActions } from '../../sdk/hooks.ts';
import type { Json } from '../../sdk/packet.ts';
import { definePolicy } from '../../sdk/policy.ts';

/** Choose it where everything must say whose it is. */
export default definePolicy({
  hook: 'preCheck',
  name: 'require-tags',
  version: '1.0.0',
  description:
    'Refuses documents without certain tags, and adds others. Choose it where everything must say whose it is.',
  parameters: z.strictObject({
    /** Each must be there; `team:*` is met by any tag that begins so. */
    required: z.array(z.string()).max(100).default([]),
    /** Added where missing. */
    added: z.array(z.string()).max(100).default([]),
    /** Which actions; others go on. Of those left out here, most bring no document that could have tags. */
    actions: z
      .array(z.enum(preCheckActions))
      .default(['add_cluster', 'update_cluster', 'add_node', 'add_block', 'add_vdag_controller']),
  }),
  settings: z.strictObject({}),
  evaluate({ action, input }, { parameters }) {
    if (!parameters.actions.includes(action)) return { allowed: true };
    const isDocument = typeof input === 'object' && input !== null && !Array.isArray(input);
    const document = (isDocument ? input : {}) as Readonly<Record<string, Json>>;
    const given = Array.isArray(document.tags) ? document.tags.map(String) : [];
    const has = (wanted: string): boolean =>
      wanted.endsWith('*')
        ? given.some((tag) => tag.startsWith(wanted.slice(0, -1)))
        : given.includes(wanted);
    const missing = parameters.required.filter((tag) => !has(tag));
    if (missing.length > 0) {
      return { allowed: false, reason: `tags are missing: ${missing.join(', ')}`.slice(0, 1000) };
    }
    const added = parameters.added.filter((tag) => !given.includes(tag));
    return added.length === 0
      ? { allowed: true }
      : { allowed: true, input: { ...document, tags: [...given, ...added] } };
  },
});
