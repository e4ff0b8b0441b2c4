import type { BlockSpec } from '../../sdk/spec/block.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import type { StoredDocument } from '../store/index.ts';
import type { Documents } from './documents.ts';
import { canStandIn, type ShardLayer, shardLayerOf } from './shard-layers.ts';

/** A plan in which shards that run already are those that run. */
export interface SharedPlan {
  readonly plan: SplitPlan;
  /** Ids of blocks of others that the plan's vDAG refers to now. */
  readonly shared: readonly string[];
}

interface Running {
  readonly block: BlockSpec;
  readonly layer: ShardLayer;
}

/**
 * Replaces each of the plan's blocks by one that runs the same layers already, and drops its component. A block of the
 * plan that is there already stays its own; the rest are the oldest that can stand in, so that the same plan given twice
 * is the same plan.
 *
 * @param isLeaving - whether a block is being deleted
 */
export async function shareLayers(
  documents: Documents,
  tenant: string,
  plan: SplitPlan,
  isLeaving: (blockId: string) => Promise<boolean>,
): Promise<SharedPlan> {
  const running = await runningLayers(documents, tenant, plan, isLeaving);
  if (running.size === 0) return { plan, shared: [] };
  const before = (await documents.get(tenant, 'vdag', plan.vdag.uri))?.value;
  const usedBefore = new Set(before?.nodes.flatMap(({ blockId }) => blockId ?? []));
  const replaced = new Map<string, string>();
  for (const block of plan.blocks) {
    if (replaced.has(block.id) || (await documents.get(tenant, 'block', block.id))) continue;
    const component = plan.components.find(({ uri }) => uri === block.componentUri);
    const wanted = component && shardLayerOf(component);
    if (!wanted) continue;
    const fitting = (running.get(wanted.hash) ?? []).filter((one) =>
      canStandIn(one.block, one.layer, block, wanted),
    );
    const chosen = fitting.find((one) => usedBefore.has(one.block.id)) ?? fitting[0];
    if (chosen) replaced.set(block.id, chosen.block.id);
  }
  return { plan: withBlocks(plan, replaced), shared: [...new Set(replaced.values())] };
}

/** Hash → blocks that run it, the oldest first. */
async function runningLayers(
  documents: Documents,
  tenant: string,
  plan: SplitPlan,
  isLeaving: (blockId: string) => Promise<boolean>,
): Promise<ReadonlyMap<string, readonly Running[]>> {
  const wanted = new Set(plan.components.flatMap((one) => shardLayerOf(one)?.hash ?? []));
  const found = new Map<string, Running[]>();
  const byAge = (a: StoredDocument, b: StoredDocument) =>
    a.createdAtMs - b.createdAtMs || a.revision - b.revision;
  for (const { value: block } of [...(await documents.list(tenant, 'block'))].sort(byAge)) {
    const component = (await documents.get(tenant, 'component', block.componentUri))?.value;
    const layer = component && shardLayerOf(component);
    if (!layer || !wanted.has(layer.hash) || (await isLeaving(block.id))) continue;
    found.set(layer.hash, [...(found.get(layer.hash) ?? []), { block, layer }]);
  }
  return found;
}

function withBlocks(plan: SplitPlan, replaced: ReadonlyMap<string, string>): SplitPlan {
  if (replaced.size === 0) return plan;
  const blocks = plan.blocks.filter(({ id }) => !replaced.has(id));
  const gone = new Set(
    plan.blocks.filter(({ id }) => replaced.has(id)).map(({ componentUri }) => componentUri),
  );
  for (const { componentUri } of blocks) gone.delete(componentUri);
  const nodes = plan.vdag.nodes.map((node) => {
    const blockId = node.blockId === undefined ? undefined : replaced.get(node.blockId);
    return blockId === undefined ? node : { ...node, blockId: blockId as BlockSpec['id'] };
  });
  return {
    ...plan,
    components: plan.components.filter(({ uri }) => !gone.has(uri)),
    blocks,
    vdag: { ...plan.vdag, nodes },
  };
}
