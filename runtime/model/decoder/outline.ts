import type { ModelOutline } from '../../../sdk/splitter.ts';
import { frameLimits } from '../../dataplane/frame.ts';
import type { CheckpointTensor } from '../checkpoint.ts';
import { cacheHeadSize } from './attention.ts';
import type { DecoderConfig } from './config.ts';
import type { StageRange } from './stage-range.ts';
import { embeddingTensors, headTensors, layerTensors, type RequiredTensor } from './weights.ts';

/** Measured: a process with gRPC and ONNX Runtime takes 114 MiB; the rest is its heap after hundreds of answers. */
const emptyInstanceBytes = 128 * 2 ** 20;
const floatBytes = 4;
/** Of a prefill chunk, whatever the width. */
const maxChunkRows = 512;

const elements = (tensors: readonly RequiredTensor[]) =>
  tensors.reduce(
    (sum, { shape }) => sum + shape.reduce((product, dimension) => product * dimension, 1),
    0,
  );

/** Linear weights and norms are widened to float32 when they are loaded. */
const widenedBytes = (tensors: readonly RequiredTensor[]) => elements(tensors) * floatBytes;

/** ONNX Runtime's arena grows by doubling and keeps what it has: measured, four times what is alive at once. */
const arenaFactor = 4;

/** Rotary tables, and room for the intermediate results of one prefill chunk. */
function scratchBytes(config: DecoderConfig, contextTokens: number): number {
  const rows = Math.max(1, Math.floor(frameLimits.prefillChunkBytes / (config.hiddenSize * 4)));
  const chunk = Math.min(rows, maxChunkRows, contextTokens);
  const scores = config.heads * contextTokens;
  const attended = config.heads * config.headSize;
  const rowFloats = 3 * config.intermediateSize + 2 * config.hiddenSize + 2 * attended + scores;
  const alive = chunk * rowFloats + config.vocabularySize;
  const rotaryTables = new Set(config.layers.map(({ rope }) => rope)).size;
  const rotary = rotaryTables * contextTokens * cacheHeadSize(config);
  return (arenaFactor * alive + rotary) * floatBytes;
}

export interface OutlineOptions {
  readonly name: string;
  readonly config: DecoderConfig;
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  readonly contextTokens: number;
  readonly maxSessions: number;
}

/** What each part of the model takes in memory. */
export function outlineDecoder(options: OutlineOptions): ModelOutline {
  const { name, config, tensors, contextTokens, maxSessions } = options;
  const kvFloats = 2 * config.keyValueHeads * cacheHeadSize(config) * contextTokens * maxSessions;
  return {
    name,
    architecture: config.architecture,
    contextTokens,
    layers: config.layers.map((_, layer) => ({
      residentBytes: widenedBytes(layerTensors(config, layer)),
      kvBytes: kvFloats * floatBytes,
    })),
    // Looked up as it lies, and only the rows are widened.
    embeddingBytes: embeddingTensors(config).reduce(
      (sum, tensor) => sum + (tensors.get(tensor.name)?.lengthBytes ?? 0),
      0,
    ),
    headBytes: widenedBytes(headTensors(config)),
    overheadBytes: emptyInstanceBytes + scratchBytes(config, contextTokens),
  };
}

/** Sums of an outline over one stage. */
export function stageAmounts(outline: ModelOutline, range: StageRange) {
  const layers = outline.layers.slice(range.firstLayer, range.lastLayer + 1);
  const ends =
    (range.hasEmbedding ? outline.embeddingBytes : 0) + (range.hasHead ? outline.headBytes : 0);
  return {
    residentBytes: layers.reduce((sum, layer) => sum + layer.residentBytes, ends),
    kvBytes: layers.reduce((sum, layer) => sum + layer.kvBytes, 0),
  };
}
