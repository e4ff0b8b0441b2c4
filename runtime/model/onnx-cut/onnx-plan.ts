import type { z } from 'zod';
import type { GraphSpec } from '../../../sdk/spec/component.ts';
import { type ShardPlan, type SplitPlan, splitPlan } from '../../../sdk/spec/plan.ts';
import type { ModelOutline } from '../../../sdk/splitter.ts';
import { shardBlockId, shardComponent, vdagNames } from '../plan-names.ts';
import { shardFolder } from '../split-plan.ts';

const threads = 1;

export interface OnnxPlanParts {
  readonly planner: string;
  readonly outline: ModelOutline;
  readonly maxSessions: number;
  readonly shards: readonly {
    readonly plan: Omit<ShardPlan, 'index' | 'folder' | 'hasEmbedding' | 'hasHead' | 'kvBytes'>;
    readonly graph: GraphSpec;
  }[];
}

/** The documents of a split graph: a component and a block for each part, and the vDAG that joins them in a row. */
export function createOnnxPlan({
  planner,
  outline,
  maxSessions,
  shards,
}: OnnxPlanParts): SplitPlan {
  const { name, architecture, contextTokens, overheadBytes } = outline;
  const slug = name.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const components = shards.map(({ graph }, index) =>
    shardComponent(`${slug}-part-${index}`, { graph }),
  );
  const blocks = components.map((component, index) => ({
    id: shardBlockId(component),
    componentUri: component.uri,
    minInstances: 1,
    maxInstances: 1,
    threads,
    resources: {
      memoryBytes: (shards[index]?.plan.residentBytes ?? 0) + overheadBytes,
      cpuCores: threads,
    },
  }));
  const labels = shards.map((_, index) => shardFolder(index));
  return splitPlan.parse({
    version: 1,
    model: name,
    architecture,
    splitter: 'onnx',
    planner,
    contextTokens,
    maxSessions,
    shards: shards.map(({ plan }, index) => ({
      index,
      folder: shardFolder(index),
      hasEmbedding: false,
      hasHead: false,
      kvBytes: 0,
      ...plan,
    })),
    components,
    blocks,
    vdag: {
      ...vdagNames(name, components),
      nodes: blocks.map(({ id }, index) => ({ label: shardFolder(index), blockId: id })),
      edges: labels.slice(1).map((to, index) => ({ from: shardFolder(index), to })),
    },
  } satisfies z.input<typeof splitPlan>);
}
