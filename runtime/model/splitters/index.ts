import type { Splitter } from '../../../sdk/splitter.ts';
import { llamaSplitter } from './llama.ts';

/** The first that accepts a folder splits it. */
export const splitters: readonly Splitter[] = [llamaSplitter];

export { llamaSplitter };
