import type { Dag, DagNode } from './dag.ts';
import { fusedGroups } from './groups.ts';

/**
 * Which tensors ONNX Runtime leaves alone when it fuses nodes at its default level. Only pairs of nodes that are known to
 * stay apart count as such; every other tensor is taken to lie inside a fused group, where a cut moves the last bits.
 */
const matrixProducts = new Set(['MatMul', 'Gemm', 'MatMulNBits', 'MatMulInteger']);
const convolutions = new Set(['Conv', 'ConvTranspose']);
const movements = new Set([
  'Concat',
  'Split',
  'Slice',
  'MaxPool',
  'Resize',
  'Upsample',
  'Identity',
]);
const sums = new Set(['Add', 'Sum']);
const norms = new Set([
  'LayerNormalization',
  'SkipLayerNormalization',
  'SimplifiedLayerNormalization',
  'RMSNormalization',
]);
/** Those that also stand inside longer patterns: a Mul may follow that belongs to them. */
const openActivations = new Set(['Sigmoid', 'HardSigmoid', 'Tanh', 'Erf', 'Softplus']);
const activations = new Set([
  ...openActivations,
  ...['Relu', 'LeakyRelu', 'PRelu', 'Clip', 'Elu', 'Selu', 'Gelu', 'HardSwish', 'Mish', 'Swish'],
]);
const elementwise = new Set(['Add', 'Sub', 'Mul', 'Div', ...openActivations]);

type Giver = 'norm' | 'activation' | 'open' | 'sum' | 'movement' | 'convolution' | 'other';
type Taker = 'product' | 'convolution' | 'movement' | 'sum' | 'other';

const apart: Readonly<Record<Giver, ReadonlySet<Taker>>> = {
  norm: new Set(['product', 'convolution', 'movement', 'sum']),
  activation: new Set(['product', 'convolution', 'movement', 'sum']),
  open: new Set(['product', 'convolution', 'movement']),
  sum: new Set(['product', 'convolution', 'movement']),
  movement: new Set(['product', 'convolution', 'movement', 'sum']),
  convolution: new Set(['convolution', 'movement']),
  other: new Set(),
};

/** Whether a cut at this tensor leaves every fused group whole. */
export function isBetweenGroups(dag: Dag, tensor: string): boolean {
  const producer = producerOf(dag, tensor);
  const readers = (dag.consumers.get(tensor) ?? []).flatMap((index) => dag.nodes[index] ?? []);
  if (!producer) return true;
  const index = dag.producers.get(tensor) ?? -1;
  const { lastOf, norms: written } = fusedGroups(dag);
  if ((lastOf.get(index) ?? index) !== index) return false;
  const giver = giverOf(dag, producer, written.has(index));
  if (giver === 'norm' && startsAttention(dag, readers)) return false;
  return readers.every((reader) => {
    const taker = takerOf(reader);
    // A convolution takes the sum after it into itself, and then adds in another order.
    if (taker === 'sum' && reader.reads.some((name) => isConvolution(dag, name))) return false;
    return apart[giver].has(taker);
  });
}

function giverOf(dag: Dag, node: DagNode, isNorm: boolean): Giver {
  const { operator } = node.ref;
  if (norms.has(operator) || isNorm) return 'norm';
  if (operator === 'Mul') return isActivationTail(dag, node) ? 'activation' : 'other';
  if (openActivations.has(operator)) return 'open';
  if (activations.has(operator)) return 'activation';
  if (sums.has(operator)) return 'sum';
  if (movements.has(operator)) return 'movement';
  return convolutions.has(operator) || operator === 'BatchNormalization' ? 'convolution' : 'other';
}

function takerOf({ ref: { operator } }: DagNode): Taker {
  if (matrixProducts.has(operator)) return 'product';
  if (convolutions.has(operator)) return 'convolution';
  if (movements.has(operator)) return 'movement';
  return sums.has(operator) ? 'sum' : 'other';
}

const producerOf = (dag: Dag, tensor: string) => dag.nodes[dag.producers.get(tensor) ?? -1];
const isConvolution = (dag: Dag, tensor: string) => {
  const operator = producerOf(dag, tensor)?.ref.operator ?? '';
  return convolutions.has(operator) || operator === 'BatchNormalization';
};

/** The nodes that give what this one reads. */
const before = (dag: Dag, node: DagNode) =>
  node.reads.flatMap((name) => producerOf(dag, name) ?? []);

/** The last Mul of a Gelu, SiLU or the like: few steps behind it stands its bent function. */
function isActivationTail(dag: Dag, node: DagNode): boolean {
  let reached: readonly DagNode[] = [node];
  for (let steps = 0; steps < 5; steps += 1) {
    reached = reached
      .flatMap((one) => before(dag, one))
      .filter(({ ref }) => elementwise.has(ref.operator));
    if (reached.some(({ ref }) => openActivations.has(ref.operator))) return true;
    reached = reached.slice(0, 8);
  }
  return false;
}

/** Query, key and value from one norm: attention is recognised from that norm on. */
function startsAttention(dag: Dag, readers: readonly DagNode[]): boolean {
  const projections = readers.filter(({ ref }) => matrixProducts.has(ref.operator));
  if (projections.length >= 3) return true;
  const after = (nodes: readonly DagNode[]) =>
    nodes.flatMap(({ ref }) =>
      ref.outputs.flatMap((name) =>
        (dag.consumers.get(name) ?? []).flatMap((index) => dag.nodes[index] ?? []),
      ),
    );
  const results = after(projections);
  return [...results, ...after(results.filter(({ ref }) => ref.operator === 'Add'))].some(
    ({ ref }) => ['Split', 'Reshape'].includes(ref.operator),
  );
}
