import { z } from 'zod';
import type { ClusterSnapshot, NodeSnapshot } from '../../sdk/cluster.ts';
import { columns } from '../../sdk/columns.ts';
import { definePolicy } from '../../sdk/policy.ts';

const freeColumns = columns(({ healthy, free }: NodeSnapshot) => (healthy ? free.memoryBytes : 0));

function freeMemoryBytes({ nodes }: ClusterSnapshot): number {
  let sum = 0;
  for (const column of freeColumns(nodes)) for (const bytes of column) sum += bytes;
  return sum;
}

/** The default: every cluster that passed the filter is scored, and the best plan wins. */
export default definePolicy({
  hook: 'clusterAllocator',
  name: 'best-score',
  version: '1.0.0',
  description:
    'Lets the clusters with the most free memory compete and takes the plan that scored highest. Choose it unless a cluster must be preferred by name.',
  parameters: z.strictObject({
    /** The AND/OR conditions of clusters; the platform applies them before this policy is asked. */
    filter: z.unknown().optional(),
  }),
  settings: z.strictObject({
    /** Clusters that are scored; more cost time, fewer may miss the best. */
    max_candidates: z.number().int().positive().optional(),
  }),
  evaluate(input, { settings }) {
    if (input.action === 'post_dry_run') {
      const [best] = [...input.candidates].sort(
        (a, b) => b.score - a.score || (a.clusterId < b.clusterId ? -1 : 1),
      );
      return { clusterId: best?.clusterId ?? '' };
    }
    const [only, ...others] = input.clusters;
    if (only && others.length === 0) return { clusters: [only.id] };
    const ranked = input.clusters
      .map((cluster) => ({ id: cluster.id, freeBytes: freeMemoryBytes(cluster) }))
      .sort((a, b) => b.freeBytes - a.freeBytes || (a.id < b.id ? -1 : 1))
      .map(({ id }) => id);
    const limit = settings.max_candidates ?? ranked.length;
    return {
      clusters: ranked.slice(0, limit),
      refused: ranked.slice(limit).map((clusterId, beyond) => ({
        clusterId,
        reason: `max_candidates: ${limit} (this cluster is number ${limit + beyond + 1} by free memory)`,
      })),
    };
  },
});
