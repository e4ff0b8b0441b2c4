import type { ModelOutline } from '../../../sdk/splitter.ts';
import { frameLimits } from '../../dataplane/frame.ts';
import type { CheckpointTensor } from '../checkpoint.ts';
import {
  type Conversion,
  codeBytesOf,
  formOf,
  residentRowBytes,
  scaleBytesOf,
} from '../quantize/weight-form.ts';
import { rowsOf } from '../quantize/weight-layout.ts';
import { cacheHeadSize } from './attention.ts';
import type { DecoderConfig } from './config.ts';
import type { StageRange } from './stage-range.ts';
import {
  embeddingName,
  embeddingTensors,
  headTensors,
  layerTensors,
  type RequiredTensor,
} from './weights.ts';

/** Measured: a process with gRPC and ONNX Runtime takes 114 MiB; the rest is its heap after hundreds of answers. */
const emptyInstanceBytes = 128 * 2 ** 20;
const floatBytes = 4;
/** Of a prefill chunk, whatever the width. */
const maxChunkRows = 512;

/** Linear weights and norms: floats are widened to float32 when they are loaded, codes stay codes. */
const multipliedBytes = (tensors: readonly RequiredTensor[], conversion?: Conversion) =>
  tensors.reduce((sum, tensor) => {
    const { rows, inputs } = rowsOf(tensor);
    const form = conversion && formOf(tensor, tensor.name === embeddingName, conversion);
    const rowBytes = form?.type === 'blocks' ? residentRowBytes(inputs, form) : inputs * floatBytes;
    return sum + rows * rowBytes;
  }, 0);

/** A table is looked up as it lies, and only the rows are widened. */
function lookedUpBytes(
  tensor: RequiredTensor,
  source: CheckpointTensor | undefined,
  conversion?: Conversion,
): number {
  const { rows, inputs } = rowsOf(tensor);
  const form = conversion && formOf(tensor, true, conversion);
  if (form?.type === 'float') return rows * inputs * (form.dtype === 'F32' ? 4 : 2);
  if (form?.type === 'blocks') {
    return rows * (codeBytesOf(inputs, form) + scaleBytesOf(inputs, form));
  }
  return source?.lengthBytes ?? 0;
}

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
  /** Absent: weights are used as they lie. */
  readonly conversion?: Conversion;
}

/** What each part of the model takes in memory. */
export function outlineDecoder(options: OutlineOptions): ModelOutline {
  const { name, config, tensors, contextTokens, maxSessions, conversion } = options;
  const kvFloats = 2 * config.keyValueHeads * cacheHeadSize(config) * contextTokens * maxSessions;
  return {
    name,
    architecture: config.architecture,
    contextTokens,
    activationBytes: config.hiddenSize * floatBytes,
    weightDtype: conversion?.dtype ?? 'fp32',
    layers: config.layers.map((_, layer) => ({
      residentBytes: multipliedBytes(layerTensors(config, layer), conversion),
      kvBytes: kvFloats * floatBytes,
    })),
    embeddingBytes: embeddingTensors(config).reduce(
      (sum, tensor) => sum + lookedUpBytes(tensor, tensors.get(tensor.name), conversion),
      0,
    ),
    headBytes: multipliedBytes(headTensors(config), conversion),
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
