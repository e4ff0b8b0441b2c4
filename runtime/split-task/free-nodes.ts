import { AiosError } from '../../sdk/errors.ts';
import { fitOf, type PlannerFit } from '../../sdk/planner-question.ts';
import type { Inventory, SpeedBook } from '../metrics/index.ts';
import type { Placement } from '../placement/placement.ts';

export interface FreeNodesParts {
  readonly inventory: Pick<Inventory, 'cluster'>;
  readonly placement: Pick<Placement, 'snapshot'>;
  readonly speeds: Pick<SpeedBook, 'links'>;
}

/**
 * What nodes of the clusters may still promise, how fast they are, and the ways between them, as they are now.
 *
 * @param clusterIds - none named, none known
 * @throws {AiosError} NOT_FOUND - no such cluster; SPLIT_INFEASIBLE - none of their nodes is healthy and has a core to promise
 */
export function freeNodes(
  { inventory, placement, speeds }: FreeNodesParts,
  tenant: string,
  clusterIds: readonly string[],
): PlannerFit {
  return fitOf(
    clusterIds.map((id) => {
      const view = inventory.cluster(tenant, id);
      if (!view) throw new AiosError('NOT_FOUND', `cluster '${id}' does not exist.`);
      const { nodes } = placement.snapshot(tenant, view);
      return { id, nodes, links: speeds.links(tenant, id) };
    }),
  );
}
