import { z } from 'zod';
import { definePolicy } from '../../sdk/policy.ts';

/** The default. */
export default definePolicy({
  hook: 'blockEvent',
  name: 'note-event',
  version: '1.0.0',
  description:
    'Writes the event into the decision record. Choose it to see which events a block raises.',
  parameters: z.strictObject({}),
  settings: z.strictObject({}),
  evaluate({ blockId, eventName }, { log }) {
    log(`${blockId}: ${eventName}`);
    return { handled: true };
  },
});
