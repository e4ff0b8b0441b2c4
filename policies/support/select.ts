import type { ClusterSnapshot } from '../../sdk/cluster.ts';
import type { HookAnswer, HookInput } from '../../sdk/hooks.ts';

/**
 * What AIOS's cluster selectors share: of the clusters that passed the filter, score the best few, and take the plan that
 * scored highest.
 *
 * @param rank - higher is better
 */
export function selectBest(
  input: HookInput<'clusterAllocator'>,
  maxCandidates: number,
  rank: (cluster: ClusterSnapshot) => number,
): HookAnswer<'clusterAllocator', 'selection'> | HookAnswer<'clusterAllocator', 'post_dry_run'> {
  if (input.action === 'post_dry_run') {
    const [best] = [...input.candidates].sort(
      (a, b) => b.score - a.score || (a.clusterId < b.clusterId ? -1 : 1),
    );
    return { clusterId: best?.clusterId ?? '' };
  }
  const ranked = input.clusters
    .map((cluster) => ({ id: cluster.id, rank: rank(cluster) }))
    .sort((a, b) => b.rank - a.rank || (a.id < b.id ? -1 : 1))
    .map(({ id }) => id);
  return {
    clusters: ranked.slice(0, maxCandidates),
    refused: ranked.slice(maxCandidates).map((clusterId, beyond) => ({
      clusterId,
      reason: `max_candidates: ${maxCandidates} (this cluster is number ${maxCandidates + beyond + 1})`,
    })),
  };
}
