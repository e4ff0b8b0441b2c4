import { bytes, integer, message, string } from '../onnx/wire.ts';
import type { Dag } from './dag.ts';
import { encodeNode, encodeTensor, type PlaceOf } from './rewrite.ts';
import type { TensorType } from './tensor-types.ts';

/** What goes into the graph of a part of a model. */
export interface GraphPart {
  /** Indices of nodes, ascending. */
  readonly nodes: readonly number[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export interface EncodeOptions {
  readonly place: PlaceOf;
  /** Of the tensors whose type the file does not declare. */
  readonly types: ReadonlyMap<string, TensorType>;
  /** Initializers that are given as inputs instead. */
  readonly asInputs?: ReadonlySet<string>;
}

/** Names of the initializers that the nodes and outputs of a part read. */
export function initializersOf(dag: Dag, { nodes, outputs }: Omit<GraphPart, 'inputs'>): string[] {
  const names = new Set<string>();
  const read = (name: string) => {
    if (dag.initializers.has(name)) names.add(name);
  };
  for (const index of nodes) for (const name of dag.nodes[index]?.reads ?? []) read(name);
  for (const name of outputs) read(name);
  return [...names];
}

/** The ONNX file of a part: its nodes and its initializers' places. */
export function encodeShard(dag: Dag, part: GraphPart, options: EncodeOptions): Uint8Array {
  const { source, header, graph } = dag.file;
  const { place, asInputs = new Set() } = options;
  const initializers = initializersOf(dag, part);
  const held = new Set(part.inputs);
  for (const index of part.nodes) {
    for (const name of dag.nodes[index]?.ref.outputs ?? []) held.add(name);
  }
  // An initializer that is also an input may be overridden, and is folded less: it stays both.
  const defaults = graph.inputs.filter(({ name }) => initializers.includes(name));
  const declared = graph.values.filter(({ name }) => held.has(name) && !part.inputs.includes(name));
  const sparse = new Set(graph.sparseInitializers.map(({ name }) => name));
  const parts: Uint8Array[] = [];
  for (const index of part.nodes) {
    const node = dag.nodes[index];
    if (node) parts.push(bytes(1, encodeNode(source, node.ref)));
  }
  parts.push(string(2, graph.name));
  for (const name of initializers) {
    const initializer = dag.initializers.get(name);
    if (!initializer || asInputs.has(name)) continue;
    const { tensor } = initializer;
    if (tensor) parts.push(bytes(5, encodeTensor(source, tensor, place, name)));
    else if (sparse.has(name)) parts.push(bytes(15, source.bytes(initializer.message)));
  }
  const value = (field: number, name: string) =>
    bytes(field, encodeValue(dag, name, options.types));
  for (const name of part.inputs) parts.push(value(11, name));
  for (const { name } of defaults) if (!asInputs.has(name)) parts.push(value(11, name));
  for (const name of part.outputs) parts.push(value(12, name));
  for (const { name } of declared) parts.push(value(13, name));
  for (const { name, message: range } of graph.annotations) {
    if (held.has(name) || initializers.includes(name)) parts.push(bytes(14, source.bytes(range)));
  }
  return message(...header.map((range) => source.bytes(range)), bytes(7, message(...parts)));
}

function encodeValue(dag: Dag, name: string, types: ReadonlyMap<string, TensorType>): Uint8Array {
  const declared = dag.values.get(name);
  const type = types.get(name);
  const isComplete = declared?.shape !== undefined || type?.shape === undefined;
  if (declared && isComplete) return dag.file.source.bytes(declared.message);
  if (!type) return string(1, name);
  const shape =
    type.shape && bytes(2, message(...type.shape.map((size) => bytes(1, encodeSize(size)))));
  const tensor = message(integer(1, type.dataType), ...(shape ? [shape] : []));
  return message(string(1, name), bytes(2, bytes(1, tensor)));
}

const encodeSize = (size: number | string | null) =>
  typeof size === 'number' ? integer(1, size) : size === null ? message() : string(2, size);
