import type { DecoderConfig } from './config.ts';
import {
  embeddingTensors,
  headProjection,
  headTensors,
  layerProjections,
  layerTensors,
  type Projection,
  type RequiredTensor,
} from './weights.ts';

/** Consecutive layers, with the model's ends where they belong. */
export interface StageRange {
  readonly firstLayer: number;
  /** Inclusive. */
  readonly lastLayer: number;
  readonly hasEmbedding: boolean;
  readonly hasHead: boolean;
}

/** The stages that begin at `firstLayers`: ascending, the first of them 0. */
export function stageRanges(config: DecoderConfig, firstLayers: readonly number[]): StageRange[] {
  return firstLayers.map((firstLayer, index) => ({
    firstLayer,
    lastLayer: (firstLayers[index + 1] ?? config.layers.length) - 1,
    hasEmbedding: index === 0,
    hasHead: index === firstLayers.length - 1,
  }));
}

/** Indices of the layers of a stage. */
export const layersOf = ({ firstLayer, lastLayer }: StageRange): number[] =>
  Array.from({ length: lastLayer - firstLayer + 1 }, (_, local) => firstLayer + local);

/** Tensors of one stage, each once, in the order they are used. */
export function stageTensorsOf(config: DecoderConfig, range: StageRange): RequiredTensor[] {
  const tensors = [
    ...(range.hasEmbedding ? embeddingTensors(config) : []),
    ...layersOf(range).flatMap((layer) => layerTensors(config, layer)),
    ...(range.hasHead ? headTensors(config) : []),
  ];
  return [...new Map(tensors.map((tensor) => [tensor.name, tensor])).values()];
}

/** Every linear map of one stage, in the order they are used. */
export function stageProjectionsOf(config: DecoderConfig, range: StageRange): Projection[] {
  return [
    ...layersOf(range).flatMap((layer) => Object.values(layerProjections(config, layer))),
    ...(range.hasHead ? [headProjection(config)] : []),
  ];
}
