import { basename, resolve } from 'node:path';
import type { z } from 'zod';
import type { ContentHash } from '../../sdk/ids.ts';
import type { ArtifactFile } from '../../sdk/spec/common.ts';
import type { StageSpec } from '../../sdk/spec/component.ts';
import { type ShardPlan, type SplitPlan, splitPlan } from '../../sdk/spec/plan.ts';
import type { vdagSpec } from '../../sdk/spec/vdag.ts';
import type { ModelOutline } from '../../sdk/splitter.ts';
import { shardBlockId, shardComponent, vdagNames } from './plan-names.ts';
import type { Conversion } from './quantize/weight-form.ts';

const threads = 1;

/** The model's name: its folder's, in the characters that a URI takes. */
export function modelNameOf(modelFolder: string): string {
  const name = basename(resolve(modelFolder))
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '')
    .slice(0, 100)
    .replace(/[^A-Za-z0-9]+$/, '');
  return name || 'model';
}

/** A shard that was written, with the hashes of its files. */
export interface PlannedShard extends Omit<ShardPlan, 'index' | 'folder'> {
  readonly stageHash: ContentHash;
  /** Name of the graph among `files`. */
  readonly graph: string;
  readonly files: readonly ArtifactFile[];
}

export interface SplitPlanParts {
  readonly splitter: string;
  readonly planner: string;
  /** What the weights were converted to. */
  readonly conversion?: Conversion;
  readonly outline: ModelOutline;
  readonly maxSessions: number;
  readonly sizes: Pick<StageSpec, 'hiddenSize' | 'vocabularySize' | 'keyValueHeads' | 'headSize'>;
  readonly endTokenIds: readonly number[];
  readonly beginTokenId?: number;
  readonly tokenizerFiles: readonly ArtifactFile[];
  readonly shards: readonly PlannedShard[];
}

export const shardFolder = (index: number) => `shard-${index}`;
const shardLabel = shardFolder;

/**
 * The documents of a split: a component and a block for each shard, and the vDAG that joins them. Every name ends in a
 * hash of what it stands for, so that documents of one name are equal, and different splits of a model live side by side.
 */
export function createSplitPlan(parts: SplitPlanParts): SplitPlan {
  const { outline, maxSessions, shards } = parts;
  const components = shards.map((shard, index) => stageComponent(parts, shard, index));
  const blocks = components.map((component, index) => ({
    id: shardBlockId(component),
    componentUri: component.uri,
    minInstances: 1,
    maxInstances: 1,
    threads,
    resources: { memoryBytes: shardMemoryBytes(outline, shards[index]), cpuCores: threads },
  }));
  return splitPlan.parse({
    version: 1,
    model: outline.name,
    architecture: outline.architecture,
    splitter: parts.splitter,
    planner: parts.planner,
    ...conversionFields(parts.conversion),
    contextTokens: outline.contextTokens,
    maxSessions,
    shards: shards.map(({ stageHash: _hash, graph: _graph, files: _files, ...amounts }, index) => ({
      index,
      folder: shardFolder(index),
      ...amounts,
    })),
    components,
    blocks,
    vdag: modelVdag(
      parts,
      components,
      blocks.map(({ id }) => id),
    ),
  } satisfies z.input<typeof splitPlan>);
}

function conversionFields(conversion?: Conversion): Pick<SplitPlan, 'dtype' | 'blockSize'> {
  if (!conversion) return {};
  const { dtype, blockSize } = conversion;
  return dtype === 'int8' || dtype === 'int4' ? { dtype, blockSize } : { dtype };
}

/** Of one instance: weights, KV cache and what a process takes without them. */
function shardMemoryBytes(outline: ModelOutline, shard: PlannedShard | undefined): number {
  return (shard?.residentBytes ?? 0) + (shard?.kvBytes ?? 0) + outline.overheadBytes;
}

/** Dots would be read as the end of a component's type, and blocks are named in lower case. */
const slug = (name: string) => name.toLowerCase().replace(/[^a-z0-9]+/g, '-');

function stageComponent(
  { outline, maxSessions, sizes, shards }: SplitPlanParts,
  shard: PlannedShard,
  index: number,
) {
  const { stageHash, firstLayer, lastLayer, hasEmbedding, hasHead, graph, files } = shard;
  const { residentBytes } = shard;
  const stage: StageSpec = {
    stageHash,
    index,
    count: shards.length,
    firstLayer,
    lastLayer,
    hasEmbedding,
    hasHead,
    ...sizes,
    contextTokens: outline.contextTokens,
    maxSessions,
    weightBytes: residentBytes - (hasEmbedding ? outline.embeddingBytes : 0),
    graph,
    files: [...files],
  };
  return shardComponent(`${slug(outline.name)}-shard-${index}`, { stage });
}

function modelVdag(
  { outline, sizes, endTokenIds, beginTokenId, tokenizerFiles }: SplitPlanParts,
  components: readonly ReturnType<typeof stageComponent>[],
  blockIds: readonly string[],
): z.input<typeof vdagSpec> {
  const { name, contextTokens } = outline;
  const generation = {
    files: [...tokenizerFiles],
    contextTokens,
    vocabularySize: sizes.vocabularySize,
    hiddenSize: sizes.hiddenSize,
    endTokenIds: [...endTokenIds],
    ...(beginTokenId === undefined ? {} : { beginTokenId }),
    stages: blockIds.map((_, index) => shardLabel(index)),
  };
  return {
    ...vdagNames(name, components, generation),
    nodes: blockIds.map((blockId, index) => ({ label: shardLabel(index), blockId })),
    edges: blockIds
      .slice(1)
      .map((_, index) => ({ from: shardLabel(index), to: shardLabel(index + 1) })),
    generation,
  };
}
