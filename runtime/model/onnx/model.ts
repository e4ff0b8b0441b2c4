import type {
  OnnxElementType,
  OnnxNodeAttribute,
  OnnxOperation,
  OnnxPort,
  OnnxWeights,
} from '../../../sdk/onnx-graph.ts';
import { bytes, float, integer, message, packed, string } from './wire.ts';

/** `TensorProto.DataType` numbers, of the types used here. */
export const onnxTypes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
} as const satisfies Readonly<Record<OnnxElementType, number>>;
export type OnnxType = OnnxElementType;

/** A tensor whose bytes lie in a file beside the graph, at any offset. */
export type ExternalData = Exclude<OnnxWeights['data'], Uint8Array>;
export type OnnxInitializer = OnnxWeights;
export type OnnxValue = OnnxPort;

/** What a splitter may write, and what graphs that are read or built here hold besides. */
export type OnnxAttribute =
  | OnnxNodeAttribute
  | { readonly tensor: OnnxInitializer }
  | { readonly graph: OnnxGraph };

export interface OnnxNode extends Omit<OnnxOperation, 'attributes'> {
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxInitializer[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

// Old enough for every runtime since 2022, new enough for bfloat16 casts.
const irVersion = 8;
const opsets = [
  { domain: '', version: 17 },
  { domain: 'com.microsoft', version: 1 },
];

function encodeAttribute(name: string, value: OnnxAttribute): Uint8Array {
  const typed = (type: number, ...fields: Uint8Array[]) =>
    message(string(1, name), ...fields, integer(20, type));
  if ('i' in value) return typed(2, integer(3, value.i));
  if ('f' in value) return typed(1, float(2, value.f));
  if ('ints' in value) return typed(7, ...value.ints.map((one) => integer(8, one)));
  if ('text' in value) return typed(3, string(4, value.text));
  if ('tensor' in value) return typed(4, bytes(5, encodeInitializer(value.tensor)));
  return typed(5, bytes(6, encodeGraph(value.graph)));
}

function encodeNode(node: OnnxNode): Uint8Array {
  return message(
    ...node.inputs.map((input) => string(1, input)),
    ...node.outputs.map((output) => string(2, output)),
    string(3, node.name),
    string(4, node.operator),
    ...Object.entries(node.attributes).map(([name, value]) =>
      bytes(5, encodeAttribute(name, value)),
    ),
    string(7, node.domain),
  );
}

function encodeInitializer({ name, type, shape, data }: OnnxInitializer): Uint8Array {
  const head = message(packed(1, shape), integer(2, onnxTypes[type]), string(8, name));
  if (data instanceof Uint8Array) return message(head, bytes(9, data));
  const entries = {
    location: data.location,
    offset: String(data.offsetBytes),
    length: String(data.lengthBytes),
  };
  return message(
    head,
    ...Object.entries(entries).map(([entry, value]) =>
      bytes(13, message(string(1, entry), string(2, value))),
    ),
    integer(14, 1),
  );
}

function encodeValue({ name, type, shape }: OnnxValue): Uint8Array {
  const dimensions = shape.map((size) =>
    bytes(1, typeof size === 'number' ? integer(1, size) : string(2, size)),
  );
  const tensor = message(integer(1, onnxTypes[type]), bytes(2, message(...dimensions)));
  return message(string(1, name), bytes(2, bytes(1, tensor)));
}

function encodeGraph(graph: OnnxGraph): Uint8Array {
  return message(
    ...graph.nodes.map((node) => bytes(1, encodeNode(node))),
    string(2, graph.name),
    ...graph.initializers.map((initializer) => bytes(5, encodeInitializer(initializer))),
    ...graph.inputs.map((value) => bytes(11, encodeValue(value))),
    ...graph.outputs.map((value) => bytes(12, encodeValue(value))),
  );
}

/**
 * Encodes a graph as an ONNX model file.
 *
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto for the field numbers
 */
export function encodeOnnxModel(graph: OnnxGraph): Uint8Array {
  return message(
    integer(1, irVersion),
    string(2, 'aios'),
    bytes(7, encodeGraph(graph)),
    ...opsets.map(({ domain, version }) =>
      bytes(8, message(string(1, domain), integer(2, version))),
    ),
  );
}
