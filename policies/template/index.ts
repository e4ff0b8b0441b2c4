import type { Policy } from '../../sdk/policy.ts';
import plainDocument from './plain-document.ts';

/** One line a file of this folder. */
export const templates = [plainDocument] as const satisfies readonly Policy<'template'>[];
