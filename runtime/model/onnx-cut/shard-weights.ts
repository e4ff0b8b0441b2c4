import type { CheckpointTensor } from '../checkpoint.ts';
import type { ShardWeights } from '../split-shard.ts';
import type { Dag } from './dag.ts';
import { encodeShard, type GraphPart, initializersOf } from './encode-shard.ts';
import type { OnnxTensorRef, TensorPlace } from './onnx-file.ts';
import type { TensorType } from './tensor-types.ts';

/** The weights of a part where they lie, and its graph over wherever they are put. */
export function shardWeights(
  dag: Dag,
  part: GraphPart,
  types: ReadonlyMap<string, TensorType>,
): ShardWeights {
  const tensors = new Map<TensorPlace, CheckpointTensor>();
  const add = ({ name, dims, place }: OnnxTensorRef) => {
    // Only the place matters here: the graph says what the bytes mean.
    if (place) tensors.set(place, { ...place, name, dtype: 'U8', shape: dims });
  };
  for (const name of initializersOf(dag, part)) {
    const tensor = dag.initializers.get(name)?.tensor;
    if (tensor) add({ ...tensor, name });
  }
  return {
    tensors: [...tensors.values()],
    encodeGraph: (placeOf) =>
      encodeShard(dag, part, {
        types,
        place: (place) => {
          const tensor = tensors.get(place);
          const { file, ...range } = place;
          return tensor ? placeOf(tensor) : { location: file.name, ...range };
        },
      }),
  };
}
