import { AiosError } from '../../sdk/errors.ts';
import type { HookInput } from '../../sdk/hooks.ts';
import type { Inventory } from '../metrics/index.ts';
import type { Placement } from '../placement/placement.ts';

/**
 * What healthy nodes of the clusters may still promise: none named, none known.
 *
 * @throws {AiosError} NOT_FOUND - no such cluster; SPLIT_INFEASIBLE - none of their nodes is healthy
 */
export function freeNodes(
  inventory: Pick<Inventory, 'cluster'>,
  placement: Pick<Placement, 'snapshot'>,
  tenant: string,
  clusterIds: readonly string[],
): HookInput<'splitPlanner'>['nodes'] {
  const nodes = clusterIds.flatMap((clusterId) => {
    const view = inventory.cluster(tenant, clusterId);
    if (!view) throw new AiosError('NOT_FOUND', `cluster '${clusterId}' does not exist.`);
    return placement
      .snapshot(tenant, view)
      .nodes.filter(({ healthy }) => healthy)
      .map(({ id, free }) => ({
        ...{ clusterId, nodeId: id },
        ...{ freeMemoryBytes: free.memoryBytes, cpuCores: free.cpuCores },
      }));
  });
  if (nodes.length > 0 || clusterIds.length === 0) return nodes;
  throw new AiosError(
    'SPLIT_INFEASIBLE',
    `no node of ${clusterIds.join(', ')} is healthy; there is nothing to fit the model to.`,
  );
}
