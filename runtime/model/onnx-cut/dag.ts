import type { Problem } from '../../../sdk/errors.ts';
import { nearest } from '../../../sdk/nearest.ts';
import type { ByteRange } from './byte-source.ts';
import {
  graphLimits,
  inlineBytes,
  type OnnxFile,
  type OnnxNodeRef,
  type OnnxTensorRef,
  type OnnxValueRef,
} from './onnx-file.ts';
import { definedNames, readsOf } from './scopes.ts';
import { topologicalOrder } from './topology.ts';

export interface DagNode {
  readonly ref: OnnxNodeRef;
  /** Inputs and captures, each once; initializers among them. */
  readonly reads: readonly string[];
  /** Tensors written inside the node: of its attributes, and of graphs inside it. */
  readonly ownWeights: readonly OnnxTensorRef[];
}

export interface DagInitializer {
  readonly name: string;
  readonly sizeBytes: number;
  /** Absent for a sparse one, which stays inside the graph. */
  readonly tensor?: OnnxTensorRef;
  readonly message: ByteRange;
}

/** A graph whose every name stands for one thing. */
export interface Dag {
  readonly file: OnnxFile;
  /** In an order in which each comes after what it reads; the file's own where that is one. */
  readonly nodes: readonly DagNode[];
  /** Tensor → index of its node. */
  readonly producers: ReadonlyMap<string, number>;
  /** Tensor → indices of the nodes that read it, ascending. */
  readonly consumers: ReadonlyMap<string, readonly number[]>;
  /** What the caller gives. */
  readonly inputs: ReadonlyMap<string, OnnxValueRef>;
  /** What the caller gets, in the graph's order. */
  readonly outputs: readonly OnnxValueRef[];
  readonly initializers: ReadonlyMap<string, DagInitializer>;
  /** Declared types by name. */
  readonly values: ReadonlyMap<string, OnnxValueRef>;
}

/** Joins the parts of a graph by name. Every name that stands for nothing or for two things is added to `problems`. */
export function createDag(file: OnnxFile, problems: Problem[]): Dag | undefined {
  const { graph, source } = file;
  const before = problems.length;
  const report = (offsetBytes: number, message: string, close?: string | undefined) => {
    if (problems.length >= graphLimits.problems) return;
    const path = `${source.file.name}@${offsetBytes}`;
    problems.push({ path, message, ...(close === undefined ? {} : { nearest: close }) });
  };
  const known = definedNames(graph, report);
  const outputNames = new Set(graph.outputs.map(({ name }) => name));
  const constants = graph.nodes.filter(
    (node) => isWeight(node) && !node.outputs.some((name) => outputNames.has(name)),
  );
  const initializers = initializersOf(file, constants);
  const folded = new Set(constants);

  const nodes = graph.nodes
    .filter((node) => !folded.has(node))
    .map((ref) => ({ ref, reads: readsOf(ref, report), ownWeights: ownWeightsOf(ref) }));
  for (const { ref, reads } of nodes) {
    for (const name of reads) {
      if (known.has(name)) continue;
      const what = `node '${ref.name || ref.outputs[0]}' (${ref.operator}) reads '${name}', which nothing gives.`;
      report(ref.message.offsetBytes, what, nearest(name, known));
    }
  }
  for (const { name, message } of graph.outputs) {
    if (!known.has(name)) {
      report(message.offsetBytes, `output '${name}' is given by nothing.`, nearest(name, known));
    }
  }
  if (graph.outputs.length === 0) report(graph.message.offsetBytes, 'the graph has no outputs.');
  const order = topologicalOrder(nodes);
  if ('cycle' in order) {
    const names = order.cycle.map(({ ref }) => ref.name || ref.outputs[0]).join(' → ');
    report(
      order.cycle[0]?.ref.message.offsetBytes ?? 0,
      `nodes need each other's outputs: ${names}.`,
    );
  }
  if (problems.length > before || 'cycle' in order) return undefined;
  return joined(file, order.sorted, initializers);
}

/** A constant is an initializer written as a node: as such it can be used where it lies. */
const isWeight = ({ operator, domain, attributes }: OnnxNodeRef) =>
  operator === 'Constant' &&
  domain === '' &&
  attributes.length === 1 &&
  attributes[0]?.name === 'value' &&
  (attributes[0].tensors[0]?.sizeBytes ?? 0) >= inlineBytes;

function initializersOf({ graph }: OnnxFile, constants: readonly OnnxNodeRef[]) {
  const initializers = new Map<string, DagInitializer>();
  const add = (name: string, tensor: OnnxTensorRef) => {
    const { sizeBytes, message } = tensor;
    initializers.set(name, { name, sizeBytes, tensor, message });
  };
  for (const tensor of graph.initializers) add(tensor.name, tensor);
  for (const { outputs, attributes } of constants) {
    const tensor = attributes[0]?.tensors[0];
    if (tensor && outputs[0]) add(outputs[0], tensor);
  }
  for (const { name, message } of graph.sparseInitializers) {
    initializers.set(name, { name, sizeBytes: message.lengthBytes, message });
  }
  return initializers;
}

function ownWeightsOf({ attributes }: OnnxNodeRef): readonly OnnxTensorRef[] {
  return attributes.flatMap(({ tensors, graphs }) => [
    ...tensors,
    ...graphs.flatMap(({ initializers, nodes }) => [
      ...initializers,
      ...nodes.flatMap((node) => ownWeightsOf(node)),
    ]),
  ]);
}

function joined(
  file: OnnxFile,
  nodes: readonly DagNode[],
  initializers: ReadonlyMap<string, DagInitializer>,
): Dag {
  const producers = new Map<string, number>();
  const consumers = new Map<string, number[]>();
  for (const [index, { ref, reads }] of nodes.entries()) {
    for (const name of ref.outputs) if (name !== '') producers.set(name, index);
    for (const name of reads) {
      const readers = consumers.get(name) ?? [];
      readers.push(index);
      consumers.set(name, readers);
    }
  }
  const { graph } = file;
  const isGiven = ({ name }: OnnxValueRef) => !initializers.has(name);
  const byName = (values: readonly OnnxValueRef[]) =>
    values.map((value) => [value.name, value] as const);
  return {
    file,
    nodes,
    producers,
    consumers,
    inputs: new Map(byName(graph.inputs.filter(isGiven))),
    outputs: graph.outputs,
    initializers,
    values: new Map(byName([...graph.values, ...graph.inputs, ...graph.outputs])),
  };
}
