import type { SplitPlan } from '../sdk/spec/plan.ts';
import { formatBytes } from '../sdk/units.ts';
import type { Context } from './context.ts';

/** One row a shard: its layers, what it takes on disk and in memory. */
export function renderShards(plan: SplitPlan, { table }: Pick<Context, 'table'>): string {
  const rows = plan.shards.map((shard, index) => [
    String(shard.index),
    `${shard.firstLayer}–${shard.lastLayer}`,
    [shard.hasEmbedding ? 'embedding' : '', shard.hasHead ? 'head' : ''].filter(Boolean).join(', '),
    formatBytes(shard.fileBytes),
    formatBytes(shard.residentBytes),
    formatBytes(shard.kvBytes),
    formatBytes(plan.blocks[index]?.resources?.memoryBytes ?? 0),
    plan.blocks[index]?.id ?? '',
  ]);
  return table(
    ['>shard', 'layers', 'also', '>file', '>resident', '>kv cache', '>promised', 'block'],
    rows,
  );
}
