import type { Policy } from '../../sdk/policy.ts';
import noteEvent from './note-event.ts';

/** One line a file of this folder. */
export const blockEvents = [noteEvent] as const satisfies readonly Policy<'blockEvent'>[];
