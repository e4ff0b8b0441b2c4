/** Element types that a graph written by a splitter may hold. */
export type OnnxElementType =
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'uint8'
  | 'int8'
  | 'int32'
  | 'int64'
  | 'bool';

/** Weights: little-endian bytes inside the graph, or a place in a file beside it. */
export interface OnnxWeights {
  readonly name: string;
  readonly type: OnnxElementType;
  /** `[]` is a scalar. */
  readonly shape: readonly number[];
  readonly data:
    | Uint8Array
    | { readonly location: string; readonly offsetBytes: number; readonly lengthBytes: number };
}

/** A tensor that a graph takes or gives. */
export interface OnnxPort {
  readonly name: string;
  readonly type: OnnxElementType;
  /** A number, or the name of a dimension known only when the graph runs. */
  readonly shape: readonly (number | string)[];
}

/** `{ i: 1 }` is an integer, `{ f: 1 }` a float: ONNX tells them apart, JavaScript does not. */
export type OnnxNodeAttribute =
  | { readonly i: number }
  | { readonly f: number }
  | { readonly ints: readonly number[] }
  | { readonly text: string };

/** An operator. @see https://onnx.ai/onnx/operators/ */
export interface OnnxOperation {
  readonly name: string;
  /** Such as `Gemm`. */
  readonly operator: string;
  /** `''` is ONNX's own set. */
  readonly domain: '' | 'com.microsoft';
  readonly inputs: readonly string[];
  /** An empty name is an optional output left out. */
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxNodeAttribute>>;
}

/** One shard's graph, its operators in the order they run. */
export interface OnnxShardGraph {
  readonly name: string;
  readonly nodes: readonly OnnxOperation[];
  readonly initializers: readonly OnnxWeights[];
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
}
