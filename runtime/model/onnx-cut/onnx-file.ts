import type { CheckpointFile } from '../checkpoint.ts';
import type { ByteRange, ByteSource } from './byte-source.ts';

/** What a graph may hold before it is refused: far above any real model, far below what would exhaust a machine. */
export const graphLimits = {
  nodes: 500_000,
  tensors: 500_000,
  values: 1_000_000,
  /** If, Loop and Scan inside each other. */
  depth: 16,
  rank: 64,
  nameBytes: 4096,
  /** Everything but weights: it is written into each shard. */
  metadataBytes: 256 * 2 ** 20,
  problems: 1000,
} as const;

/** Below this a tensor stays inside the graph. */
export const inlineBytes = 1024;

/** Weights where they lie. */
export interface TensorPlace extends ByteRange {
  readonly file: CheckpointFile;
}

export interface OnnxTensorRef {
  readonly name: string;
  /** `TensorProto.DataType`. */
  readonly dataType: number;
  readonly dims: readonly number[];
  /** Bytes of its elements, once loaded. */
  readonly sizeBytes: number;
  /** The message in the graph's file. */
  readonly message: ByteRange;
  /** Where its elements lie, when that can be said from outside the graph. */
  readonly place?: TensorPlace;
}

export interface OnnxValueRef {
  readonly name: string;
  /** `TensorProto.DataType`; absent for sequences, maps and what has no type. */
  readonly dataType?: number;
  /** Absent: not even the rank is known. `null`: a dimension without number and name. */
  readonly shape?: readonly (number | string | null)[];
  readonly message: ByteRange;
}

export interface OnnxNodeRef {
  readonly name: string;
  readonly operator: string;
  readonly domain: string;
  /** An empty name is an optional one left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: readonly OnnxAttributeRef[];
  readonly message: ByteRange;
}

export interface OnnxAttributeRef {
  readonly name: string;
  readonly message: ByteRange;
  readonly tensors: readonly OnnxTensorRef[];
  readonly graphs: readonly OnnxGraphRef[];
}

export interface OnnxGraphRef {
  readonly name: string;
  readonly nodes: readonly OnnxNodeRef[];
  readonly initializers: readonly OnnxTensorRef[];
  readonly sparseInitializers: readonly { readonly name: string; readonly message: ByteRange }[];
  readonly inputs: readonly OnnxValueRef[];
  readonly outputs: readonly OnnxValueRef[];
  readonly values: readonly OnnxValueRef[];
  readonly annotations: readonly { readonly name: string; readonly message: ByteRange }[];
  readonly message: ByteRange;
}

/** A model, with the places of its parts and none of its weights. */
export interface OnnxFile {
  readonly source: ByteSource;
  readonly graph: OnnxGraphRef;
  /** Version, operator sets, functions, metadata: written into every shard as they lie. */
  readonly header: readonly ByteRange[];
  /** Of the model's own functions. */
  readonly functionCount: number;
}

/** Bits per element of `TensorProto.DataType`; text has none. */
const elementBits: Readonly<Record<number, number>> = {
  1: 32,
  2: 8,
  3: 8,
  4: 16,
  5: 16,
  6: 32,
  7: 64,
  9: 8,
  10: 16,
  11: 64,
  12: 32,
  13: 64,
  14: 64,
  15: 128,
  16: 16,
  17: 8,
  18: 8,
  19: 8,
  20: 8,
  21: 4,
  22: 4,
  23: 4,
  24: 8,
  25: 2,
  26: 2,
};

export const stringType = 8;

/** @returns bytes of a tensor's elements, or undefined for a type that is not known */
export function tensorBytes(dataType: number, dims: readonly number[]): number | undefined {
  const bits = elementBits[dataType];
  if (bits === undefined) return undefined;
  return Math.ceil((dims.reduce((product, size) => product * size, 1) * bits) / 8);
}
