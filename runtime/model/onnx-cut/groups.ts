import type { Dag, DagNode } from './dag.ts';

/**
 * Nodes that ONNX Runtime makes one of already at level `basic`: a convolution with its batch norm, a product with its
 * sum, a layer norm or a Gelu written out. A part that held half of such a group would round otherwise than the whole
 * model does, so none is ever cut.
 */
export interface FusedGroups {
  /** Node → the last node of its group. */
  readonly lastOf: ReadonlyMap<number, number>;
  /** Last nodes of layer norms written out. */
  readonly norms: ReadonlySet<number>;
}

const known = new WeakMap<Dag, FusedGroups>();

export function fusedGroups(dag: Dag): FusedGroups {
  const found = known.get(dag) ?? findGroups(new Neighbours(dag));
  known.set(dag, found);
  return found;
}

function findGroups(graph: Neighbours): FusedGroups {
  const lastOf = new Map<number, number>();
  const norms = new Set<number>();
  /** A tensor that is read outside the group keeps ONNX Runtime from fusing it. */
  const add = (members: readonly number[]) => {
    const last = Math.max(...members);
    const group = new Set(members);
    const isClosed = members.every(
      (one) => one === last || graph.after(one).every((reader) => group.has(reader)),
    );
    const isOpen = members.some((one) => one !== last && graph.givesOutput(one));
    if (!isClosed || isOpen || members.length < 2) return undefined;
    for (const [member, end] of lastOf) if (group.has(end)) lastOf.set(member, last);
    for (const one of members) lastOf.set(one, Math.max(last, lastOf.get(one) ?? 0));
    return last;
  };
  const convolved = new Set<number>();
  for (const [index, node] of graph.dag.nodes.entries()) {
    const { operator } = node.ref;
    if (operator === 'Sqrt') {
      const last = add(normAround(graph, index));
      if (last !== undefined) norms.add(last);
    } else if (operator === 'Erf') {
      add(geluAround(graph, index));
    }
    if (convolutions.has(operator)) convolved.add(index);
    const [next, ...others] = graph.after(index);
    const reader = next === undefined ? undefined : graph.dag.nodes[next];
    if (next === undefined || !reader || others.length > 0) continue;
    const grows = convolved.has(index) && growsConvolution(graph, reader);
    if (grows) convolved.add(next);
    if (grows || isBond(graph, node, reader)) add([index, next]);
  }
  return { lastOf, norms };
}

const convolutions = new Set(['Conv', 'ConvTranspose']);

/** What can be multiplied into the weights of a convolution before it. */
function growsConvolution(graph: Neighbours, { ref, reads }: DagNode): boolean {
  if (ref.operator === 'BatchNormalization') return true;
  return ['Add', 'Mul'].includes(ref.operator) && reads.some((name) => graph.isConstant(name));
}

/** Operator → those that may be fused with it when they alone read what it gives. */
const bonds: Readonly<Record<string, ReadonlySet<string>>> = {
  MatMul: new Set(['Add', 'BatchNormalization', 'Reshape', 'Transpose']),
  Reshape: new Set(['BatchNormalization']),
  Transpose: new Set(['BatchNormalization', 'Gemm']),
  Gemm: new Set(['Sum', 'Add', 'Transpose']),
  Pad: new Set(['Conv', 'MaxPool', 'AveragePool']),
  DequantizeLinear: new Set(['MatMul', 'Gemm', 'Conv', 'Gather']),
};

function isBond(graph: Neighbours, { ref, reads }: DagNode, reader: DagNode): boolean {
  const [from, to] = [ref.operator, reader.ref.operator];
  // Of a product, only what leads to a batch norm is taken in beside its sum.
  if (from === 'MatMul' && (to === 'Reshape' || to === 'Transpose')) {
    return reader.ref.outputs.some((name) =>
      graph
        .readers(name)
        .some((one) => graph.dag.nodes[one]?.ref.operator === 'BatchNormalization'),
    );
  }
  // One over x, times y, becomes y over x.
  if (from === 'Div' && to === 'Mul') return graph.isConstant(reads[0] ?? '');
  return bonds[from]?.has(to) ?? false;
}

/** (x - mean) / sqrt(variance + epsilon) · scale + bias, or the same without mean and bias; with casts between. */
function normAround(graph: Neighbours, root: number): readonly number[] {
  const members = new Set([root]);
  const isA = (index: number, ...operators: string[]) => operators.includes(graph.operator(index));
  const back = (from: readonly number[], ...operators: string[]) => {
    const found = from.flatMap((one) => graph.before(one)).filter((one) => isA(one, ...operators));
    for (const one of found) members.add(one);
    return found;
  };
  const sums = back([root], 'Add');
  const means = back([...sums, root], 'ReduceMean');
  const squares = back(means, 'Pow', 'Mul');
  const centred = back(squares, 'Sub');
  if (means.length === 0 || squares.length === 0) return [root];
  back(centred, 'ReduceMean');
  let last = root;
  const forward = (accepts: (index: number) => boolean) => {
    const [next, ...others] = graph.after(last);
    if (next === undefined || others.length > 0 || !accepts(next)) return;
    last = next;
    members.add(next);
  };
  const scales = (index: number) =>
    graph.dag.nodes[index]?.reads.some((name) => graph.isConstant(name)) ?? false;
  const isInverse = (index: number) =>
    isA(index, 'Reciprocal') || (isA(index, 'Div') && scales(index));
  const [inverse] = graph.after(root);
  forward((index) => isA(index, 'Div', 'Reciprocal'));
  if (inverse !== undefined && isInverse(inverse)) forward((index) => isA(index, 'Mul'));
  forward((index) => isA(index, 'Cast'));
  forward((index) => isA(index, 'Mul') && scales(index));
  forward((index) => isA(index, 'Add') && scales(index));
  // Where two subtractions give the same, the one that is divided stands beside.
  for (const one of [...members]) if (isA(one, 'Div')) back([one], 'Sub');
  for (const one of [...members]) if (isA(one, 'Sub')) back([one], 'ReduceMean');
  return [...members];
}

/** x · (1 + erf(x / √2)) / 2, in any order. */
function geluAround(graph: Neighbours, root: number): readonly number[] {
  const scaled = graph
    .before(root)
    .filter((one) => ['Div', 'Mul'].includes(graph.operator(one)) && graph.after(one).length === 1);
  const [sum] = graph.after(root);
  if (sum === undefined || graph.operator(sum) !== 'Add') return [root];
  const [product] = graph.after(sum);
  if (product === undefined || graph.operator(product) !== 'Mul') return [root];
  const members = [...scaled, root, sum, product];
  const isHalf = (index: number) =>
    graph.operator(index) === 'Mul' &&
    (graph.dag.nodes[index]?.reads.some((name) => graph.isConstant(name)) ?? false);
  members.push(
    ...graph.before(product).filter((one) => isHalf(one) && graph.after(one).length === 1),
  );
  const [next, ...others] = graph.after(product);
  if (next !== undefined && others.length === 0 && graph.operator(next) === 'Mul')
    members.push(next);
  return [...new Set(members)];
}

/** Nodes beside a node. */
class Neighbours {
  readonly dag: Dag;
  readonly #outputs: ReadonlySet<string>;

  constructor(dag: Dag) {
    this.dag = dag;
    this.#outputs = new Set(dag.outputs.map(({ name }) => name));
  }

  operator(index: number): string {
    return this.dag.nodes[index]?.ref.operator ?? '';
  }

  readers(tensor: string): readonly number[] {
    return this.dag.consumers.get(tensor) ?? [];
  }

  after(index: number): readonly number[] {
    const names = this.dag.nodes[index]?.ref.outputs ?? [];
    return [...new Set(names.flatMap((name) => this.readers(name)))];
  }

  before(index: number): readonly number[] {
    return (this.dag.nodes[index]?.reads ?? []).flatMap(
      (name) => this.dag.producers.get(name) ?? [],
    );
  }

  /** A weight, or what a constant gives. */
  isConstant(tensor: string): boolean {
    if (this.dag.initializers.has(tensor)) return true;
    return this.operator(this.dag.producers.get(tensor) ?? -1) === 'Constant';
  }

  givesOutput(index: number): boolean {
    return this.dag.nodes[index]?.ref.outputs.some((name) => this.#outputs.has(name)) ?? false;
  }
}
