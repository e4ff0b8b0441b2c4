import type { ShardPlan, WrittenPlan } from '../sdk/spec/plan.ts';
import { formatBytes } from '../sdk/units.ts';
import type { Context } from './context.ts';

/** One line a cut of an ONNX graph: what crosses it, and whether it moves the last bits. */
export function renderCuts({
  shards,
}: {
  readonly shards: readonly Pick<ShardPlan, 'cut'>[];
}): string[] {
  return shards.flatMap(({ cut }, index) =>
    cut
      ? [
          `cut after shard ${index}: ${cut.tensors.length} tensor${cut.tensors.length === 1 ? '' : 's'}, about ${formatBytes(cut.trafficBytes)}, ${cut.kind}`,
        ]
      : [],
  );
}

/** One row a shard: its layers, what it takes on disk and in memory. */
export function renderShards(plan: WrittenPlan, { table }: Pick<Context, 'table'>): string {
  const rows = plan.shards.map((shard, index) => [
    String(shard.index),
    `${shard.firstLayer}–${shard.lastLayer}`,
    [shard.hasEmbedding ? 'embedding' : '', shard.hasHead ? 'head' : ''].filter(Boolean).join(', '),
    formatBytes(shard.fileBytes),
    formatBytes(shard.residentBytes),
    formatBytes(shard.kvBytes),
    formatBytes(plan.blocks[index]?.resources?.memoryBytes ?? 0),
    (plan.pending ? undefined : plan.blocks[index]?.id) ?? '–',
  ]);
  return table(
    ['>shard', 'layers', 'also', '>file', '>resident', '>kv cache', '>promised', 'block'],
    rows,
  );
}
