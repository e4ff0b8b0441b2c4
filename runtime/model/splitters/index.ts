import type { Splitter } from '../../../sdk/splitter.ts';
import { decoderSplitter } from './decoder.ts';
import { onnxSplitter } from './onnx.ts';

/** The first that accepts a folder splits it. */
export const splitters: readonly Splitter[] = [onnxSplitter, decoderSplitter];

export { decoderSplitter, onnxSplitter };
