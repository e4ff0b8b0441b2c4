import type { GraphBuilder } from '../onnx/graph-builder.ts';
import type { ExternalData, OnnxType } from '../onnx/model.ts';
import { type BlockPlace, blockWeights } from './block-weights.ts';
import type { DecoderConfig } from './config.ts';
import { embeddingName, type Projection } from './weights.ts';

interface FloatPlace {
  readonly type: Extract<OnnxType, 'float32' | 'float16' | 'bfloat16'>;
  readonly data: ExternalData;
}

/** Where a tensor lies, beside the graph, and how. */
export type WeightPlace = FloatPlace | BlockPlace;

/** Operators that read weights: nothing else in a stage knows how weights lie. */
export interface StageWeights {
  /** input [b, rows, inputs] → [b, rows, outputs]. @returns `output` */
  linear(output: string, input: string, projection: Projection): string;
  /** Rows of the embedding's table, float32: ids [b, rows] → [b, rows, hidden]. */
  embedding(ids: string): string;
  /** RMS norm over the last dimension. @returns `output` */
  norm(output: string, input: string, tensorName: string): string;
  /** Weights of a norm, float32 and ready to multiply by. */
  normWeight(tensorName: string): string;
}

const contrib = 'com.microsoft';
const float32 = { i: 1 };
const elementBytes = { float32: 4, float16: 2, bfloat16: 2 } as const;

export interface StageWeightsOptions {
  readonly config: DecoderConfig;
  /** Of each tensor that the stage reads. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly place: (tensorName: string) => WeightPlace;
}

/** Weights in floats, used where they lie in the checkpoint, or in blocks. */
export function stageWeights(
  graph: GraphBuilder,
  { config, shapes, place }: StageWeightsOptions,
): StageWeights {
  const blocks = blockWeights(graph);
  const floatPlace = (name: string): FloatPlace => {
    const found = place(name);
    if (found.type === 'blocks') throw new RangeError(`'${name}' is no matrix, and lies in blocks`);
    return found;
  };
  const stored = (name: string) => {
    const { type, data } = floatPlace(name);
    return { name: graph.initializer({ name, type, shape: shapes.get(name) ?? [], data }), type };
  };
  // Half-precision weights are widened when the model is loaded: ONNX Runtime folds the cast.
  const widened = ({ name, type }: { readonly name: string; readonly type: OnnxType }) =>
    type === 'float32' ? name : graph.value('Cast', `${name}:float32`, [name], { to: float32 });
  const weight = (name: string) => widened(stored(name));

  /** Rows of a tensor that holds several projections' are an initializer of their own, over the same bytes. */
  function matrix({ tensor, firstRow, outputs, inputs }: Projection): string {
    const rows = shapes.get(tensor)?.[0];
    if (firstRow === 0 && rows === outputs) return weight(tensor);
    const { type, data } = floatPlace(tensor);
    const rowBytes = inputs * elementBytes[type];
    const name = graph.initializer({
      name: `${tensor}:${firstRow}`,
      type,
      shape: [outputs, inputs],
      data: {
        ...data,
        offsetBytes: data.offsetBytes + firstRow * rowBytes,
        lengthBytes: outputs * rowBytes,
      },
    });
    return widened({ name, type });
  }

  function normWeight(tensorName: string): string {
    const values = weight(tensorName);
    const { normOffset } = config;
    if (normOffset === 0) return values;
    // Folded at load, too.
    const offset = graph.scalar('norm_offset', normOffset);
    return graph.value('Add', `${tensorName}:offset`, [values, offset]);
  }

  return {
    normWeight,
    linear(output, input, projection) {
      const { bias } = projection;
      const product = bias === undefined ? output : `${output}_unbiased`;
      const found = place(projection.tensor);
      if (found.type === 'blocks') blocks.linear(product, input, projection, found);
      else {
        // Hugging Face weights lie as [outputs, inputs].
        const attributes = { transB: { i: 1 } };
        graph.value('FusedMatMul', product, [input, matrix(projection)], attributes, contrib);
      }
      return bias === undefined ? output : graph.value('Add', output, [product, weight(bias)]);
    },
    embedding(ids) {
      const found = place(embeddingName);
      if (found.type === 'blocks') {
        return blocks.embedding(ids, config.hiddenSize, config.vocabularySize, found);
      }
      // Half-precision rows are widened after the look-up, so that the table is held once, as it lies.
      const { name, type } = stored(embeddingName);
      const rows = graph.value('Gather', 'embedded', [name, ids]);
      return type === 'float32'
        ? rows
        : graph.value('Cast', 'embedded:float32', [rows], { to: float32 });
    },
    norm(output, input, tensorName) {
      const attributes = { epsilon: { f: config.normEpsilon }, axis: { i: -1 } };
      const inputs = [input, normWeight(tensorName)];
      return graph.value('SimplifiedLayerNormalization', output, inputs, attributes);
    },
  };
}
