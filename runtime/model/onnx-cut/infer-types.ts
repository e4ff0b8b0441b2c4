import type { Dag } from './dag.ts';
import { encodeShard, initializersOf } from './encode-shard.ts';
import { canCross, createOnnxShard } from './onnx-shard.ts';
import { dataTypeOf, dtypeNames, type TensorType } from './tensor-types.ts';

export interface InferredTypes {
  readonly types: ReadonlyMap<string, TensorType>;
  /** Why types beyond the declared ones are not known. */
  readonly fault?: string;
}

/** Types that the file itself declares. */
export function declaredTypes(dag: Dag): Map<string, TensorType> {
  const types = new Map<string, TensorType>();
  for (const { name, dataType, shape } of dag.values.values()) {
    if (dataType) types.set(name, { dataType, ...(shape ? { shape } : {}) });
  }
  for (const { name, tensor } of dag.initializers.values()) {
    if (tensor) types.set(name, { dataType: tensor.dataType, shape: tensor.dims });
  }
  return types;
}

/**
 * Types of all tensors: those that the file declares, and where it does not, what ONNX Runtime infers from the graph
 * without its weights, which stand in as inputs.
 */
export async function inferTypes(dag: Dag): Promise<InferredTypes> {
  const types = declaredTypes(dag);
  const unknown = [...dag.producers.keys()].filter((name) => !types.get(name)?.shape);
  if (unknown.length === 0) return { types };
  try {
    for (const [name, type] of await probe(dag, unknown, types)) types.set(name, type);
    return { types };
  } catch (error) {
    return { types, fault: error instanceof Error ? error.message : String(error) };
  }
}

async function probe(
  dag: Dag,
  outputs: readonly string[],
  types: ReadonlyMap<string, TensorType>,
): Promise<ReadonlyMap<string, TensorType>> {
  const nodes = [...dag.nodes.keys()];
  const weights = initializersOf(dag, { nodes, outputs }).filter((name) => {
    const tensor = dag.initializers.get(name)?.tensor;
    return tensor?.place !== undefined && canCross(dtypeNames[tensor.dataType] ?? '');
  });
  const part = { nodes, inputs: [...dag.inputs.keys(), ...weights], outputs };
  const graph = encodeShard(dag, part, {
    types,
    asInputs: new Set(weights),
    place: ({ file, ...range }) => ({ location: file.name, ...range }),
  });
  const shard = await createOnnxShard(graph, { optimization: 'disabled' });
  const found = new Map<string, TensorType>();
  for (const { name, dtype, shape } of shard.outputs) {
    const dataType = dataTypeOf(dtype);
    if (dataType === undefined) continue;
    const sizes = shape.map((size) =>
      typeof size === 'number' ? (size < 0 ? null : size) : size || null,
    );
    // No sizes: a scalar or an unknown rank, the library does not say which.
    found.set(name, { dataType, ...(sizes.length > 0 ? { shape: sizes } : {}) });
  }
  await shard.release();
  return found;
}
