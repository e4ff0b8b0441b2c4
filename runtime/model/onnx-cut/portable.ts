import type { Dag, DagNode } from './dag.ts';
import { expectedBytes, type TensorType } from './tensor-types.ts';

/** Weights that may be held twice: this many bytes, and no more than a hundredth of the model's. */
const maxWeightBytes = 64 * 2 ** 10;
const maxWeightFraction = 0.01;
const maxNodes = 64;
/** Products are cheap when they are this small: a rotary table is one. */
const maxProductBytes = 2 ** 20;

/** A few cheap nodes that give a tensor from the model's inputs and small constants alone. */
export interface Cone {
  readonly nodes: ReadonlySet<number>;
  readonly constants: ReadonlySet<string>;
  /** Inputs of the model. */
  readonly sources: ReadonlySet<string>;
}

const cheap = new Set(
  (
    'Abs Add And Cast CastLike Ceil Clip Concat Constant ConstantOfShape Cos CumSum Div Equal Exp Expand EyeLike Flatten ' +
    'Floor Gather GatherElements GatherND Greater GreaterOrEqual Identity Less LessOrEqual Log Max Min Mod Mul Neg NonZero ' +
    'Not OneHot Or Pow Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Reshape Round ScatterND Shape Sign ' +
    'Sin Size Slice Split Sqrt Squeeze Sub Sum Tile Transpose Trilu Unsqueeze Where Xor'
  ).split(' '),
);
const products = new Set(['MatMul', 'Einsum']);

/** Most bytes of weights that a part may hold beside another that holds them too. */
export function duplicateWeightLimit(dag: Dag): number {
  let total = 0;
  for (const { sizeBytes } of dag.initializers.values()) total += sizeBytes;
  return Math.min(maxWeightBytes, total * maxWeightFraction);
}

/**
 * Nodes that may be computed again where they are needed, instead of sending what they give: masks, positions, rotary
 * tables, shapes.
 *
 * @param sent - tensors that must be sent, cheap or not
 */
export function portableNodes(
  dag: Dag,
  types: ReadonlyMap<string, TensorType>,
  sent: ReadonlySet<string> = new Set(),
): ReadonlyMap<number, Cone> {
  const cones = new Map<number, Cone>();
  const weightLimit = duplicateWeightLimit(dag);
  for (const [index, node] of dag.nodes.entries()) {
    if (!isCheap(node, types) || node.ref.outputs.some((name) => sent.has(name))) continue;
    const cone = coneOf(dag, index, cones);
    if (!cone || cone.nodes.size > maxNodes) continue;
    if (weightBytes(dag, cone) <= weightLimit) cones.set(index, cone);
  }
  return cones;
}

function isCheap({ ref }: DagNode, types: ReadonlyMap<string, TensorType>): boolean {
  if (ref.domain !== '' || ref.attributes.some(({ graphs }) => graphs.length > 0)) return false;
  if (cheap.has(ref.operator)) return true;
  if (!products.has(ref.operator)) return false;
  return [...ref.inputs, ...ref.outputs].every((name) => {
    const type = types.get(name);
    return type !== undefined && expectedBytes(type) <= maxProductBytes;
  });
}

function coneOf(dag: Dag, index: number, cones: ReadonlyMap<number, Cone>): Cone | undefined {
  const nodes = new Set([index]);
  const constants = new Set<string>();
  const sources = new Set<string>();
  for (const name of dag.nodes[index]?.reads ?? []) {
    if (dag.initializers.has(name)) constants.add(name);
    else if (dag.inputs.has(name)) sources.add(name);
    else {
      const cone = cones.get(dag.producers.get(name) ?? -1);
      if (!cone) return undefined;
      for (const one of cone.nodes) nodes.add(one);
      for (const one of cone.constants) constants.add(one);
      for (const one of cone.sources) sources.add(one);
    }
  }
  return { nodes, constants, sources };
}

function weightBytes(dag: Dag, { nodes, constants }: Cone): number {
  let bytes = 0;
  for (const name of constants) bytes += dag.initializers.get(name)?.sizeBytes ?? 0;
  for (const index of nodes) {
    for (const { sizeBytes } of dag.nodes[index]?.ownWeights ?? []) bytes += sizeBytes;
  }
  return bytes;
}
