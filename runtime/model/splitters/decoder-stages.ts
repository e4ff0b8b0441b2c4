import { SplitError } from '../../../sdk/errors.ts';
import type { ModelOutline } from '../../../sdk/splitter.ts';
import type { CheckpointTensor } from '../checkpoint.ts';
import { isWeightType, weightTypes } from '../decoder/check-weights.ts';
import type { DecoderConfig } from '../decoder/config.ts';
import { encodeStageGraph } from '../decoder/stage-graph.ts';
import type { StageRange } from '../decoder/stage-range.ts';
import type { WeightPlace } from '../decoder/stage-weights.ts';
import { embeddingName } from '../decoder/weights.ts';
import type { ExternalData } from '../onnx/model.ts';
import { type Conversion, formOf } from '../quantize/weight-form.ts';
import { layOut, type StoredTensor, type WeightLayout } from '../quantize/weight-layout.ts';
import type { ConvertedStage } from '../quantize/write-converted.ts';
import { weightsFileName } from '../split-shard.ts';

/** Consecutive layers, and the tensors of the checkpoint they need. */
export interface Stage extends StageRange {
  /** Each once, in the order of use. */
  readonly tensors: readonly CheckpointTensor[];
}

interface GraphParts {
  readonly config: DecoderConfig;
  readonly outline: ModelOutline;
}

function floatPlace({ dtype, name }: CheckpointTensor, data: ExternalData): WeightPlace {
  if (!isWeightType(dtype)) throw unchecked(name);
  return { type: weightTypes[dtype], data };
}

const unchecked = (name: string) =>
  new SplitError('INTERNAL', `tensor '${name}' was not checked before its use.`);

/** @returns the graph of a stage over the checkpoint's own numbers, wherever `dataOf` says they lie */
export function graphOf({ config, outline }: GraphParts, stage: Stage) {
  const tensors = new Map(stage.tensors.map((tensor) => [tensor.name, tensor]));
  return (dataOf: (tensor: CheckpointTensor) => ExternalData): Uint8Array =>
    encodeStageGraph({
      config,
      range: stage,
      contextTokens: outline.contextTokens,
      place(name) {
        const tensor = tensors.get(name);
        if (!tensor) throw unchecked(name);
        return floatPlace(tensor, dataOf(tensor));
      },
    });
}

/** Where a converted stage's file holds each tensor. */
export function layoutOf({ tensors }: Stage, conversion: Conversion): WeightLayout {
  return layOut(weightsFileName, tensors, (tensor) =>
    formOf(tensor, tensor.name === embeddingName, conversion),
  );
}

function storedPlace({ source, form, values, scales }: StoredTensor): WeightPlace {
  if (form.type === 'as-is') return floatPlace(source, values);
  if (form.type === 'float')
    return { type: form.dtype === 'F32' ? 'float32' : 'float16', data: values };
  if (!scales) throw unchecked(source.name);
  return { ...form, codes: values, scales };
}

/** A stage over numbers of another type, which are to be written. */
export function convertedStage(
  { config, outline }: GraphParts,
  stage: Stage,
  conversion: Conversion,
): ConvertedStage {
  const layout = layoutOf(stage, conversion);
  const stored = new Map(layout.tensors.map((tensor) => [tensor.source.name, tensor]));
  const graph = encodeStageGraph({
    config,
    range: stage,
    contextTokens: outline.contextTokens,
    place(name) {
      const tensor = stored.get(name);
      if (!tensor) throw unchecked(name);
      return storedPlace(tensor);
    },
  });
  return { layout, graph };
}

/** Whether every matrix is of the type already: then there is nothing to convert. */
export const isAlready = (stages: readonly Stage[], { dtype }: Conversion): boolean =>
  (dtype === 'fp32' || dtype === 'fp16') &&
  stages.every(({ tensors }) =>
    tensors.every(
      ({ shape, dtype: found }) =>
        shape.length !== 2 || found === (dtype === 'fp32' ? 'F32' : 'F16'),
    ),
  );
