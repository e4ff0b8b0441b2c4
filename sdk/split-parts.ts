import type { ContentHash } from './ids.ts';
import type { ArtifactFile } from './spec/common.ts';
import type { GraphSpec, StageSpec } from './spec/component.ts';
import type { ShardPlan } from './spec/plan.ts';
import type { ModelOutline } from './splitter.ts';

/** Consecutive layers of a model, both inclusive, and the model's ends where they belong. */
export interface ShardRange {
  readonly firstLayer: number;
  readonly lastLayer: number;
  readonly hasEmbedding: boolean;
  readonly hasHead: boolean;
}

/** A shard of a language model that was written. */
export interface PlannedStage extends Omit<ShardPlan, 'index' | 'folder'> {
  readonly stageHash: ContentHash;
  /** Name of the ONNX graph among `files`. */
  readonly graph: string;
  readonly files: readonly ArtifactFile[];
}

/** Everything that the documents of a split language model are made of. */
export interface StagePlanParts {
  readonly outline: ModelOutline;
  readonly sizes: Pick<StageSpec, 'hiddenSize' | 'vocabularySize' | 'keyValueHeads' | 'headSize'>;
  readonly endTokenIds: readonly number[];
  readonly beginTokenId?: number;
  /** In the folder `tokenizer` of `outFolder`. */
  readonly tokenizerFiles: readonly ArtifactFile[];
  /** In order; the files of each lie in `shard-0`, `shard-1`, … of `outFolder`. */
  readonly shards: readonly PlannedStage[];
}

/** A part of a graph that was written: tensors in, tensors out. */
export interface PlannedGraph {
  readonly firstLayer: number;
  readonly lastLayer: number;
  /** On disk, of its own weights. */
  readonly fileBytes: number;
  /** Weights once loaded. */
  readonly residentBytes: number;
  readonly graph: Omit<GraphSpec, 'index' | 'count'>;
}

/** Everything that the documents of a split graph are made of: its vDAG joins the parts in a row. */
export interface GraphPlanParts {
  readonly outline: ModelOutline;
  /** In order; the files of each lie in `shard-0`, `shard-1`, … of `outFolder`. */
  readonly shards: readonly PlannedGraph[];
}

/**
 * The shards that begin at `firstLayers`.
 *
 * @param firstLayers - ascending, the first of them 0, as `context.plan` gives them
 */
export function splitRanges(
  firstLayers: readonly number[],
  layerCount: number,
): readonly ShardRange[] {
  return firstLayers.map((firstLayer, index) => ({
    firstLayer,
    lastLayer: (firstLayers[index + 1] ?? layerCount) - 1,
    hasEmbedding: index === 0,
    hasHead: index === firstLayers.length - 1,
  }));
}

/** What a shard takes in memory, by the outline: its layers, and the ends that it holds. */
export function rangeAmounts(
  outline: Pick<ModelOutline, 'layers' | 'embeddingBytes' | 'headBytes'>,
  { firstLayer, lastLayer, hasEmbedding, hasHead }: ShardRange,
): { readonly residentBytes: number; readonly kvBytes: number } {
  const layers = outline.layers.slice(firstLayer, lastLayer + 1);
  const ends = (hasEmbedding ? outline.embeddingBytes : 0) + (hasHead ? outline.headBytes : 0);
  return {
    residentBytes: layers.reduce((sum, layer) => sum + layer.residentBytes, ends),
    kvBytes: layers.reduce((sum, layer) => sum + layer.kvBytes, 0),
  };
}
