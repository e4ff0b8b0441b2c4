import type { PlacementPlan, PlannedInstance } from '../../sdk/client/api.ts';
import type { NodeSnapshot } from '../../sdk/cluster.ts';
import { chooseDevices, withInstance } from '../../sdk/fit.ts';
import type { Assignment } from '../../sdk/hooks.ts';
import type { ResourceAmounts } from '../../sdk/spec/common.ts';

/** What one instance is promised where the policy put it: the block's amounts, device by device. */
function planned(
  instanceId: string,
  { nodeId, gpus }: Assignment,
  resources: ResourceAmounts,
): PlannedInstance {
  return {
    instanceId,
    nodeId,
    memoryBytes: resources.memoryBytes,
    cpuCores: resources.cpuCores,
    gpus: resources.gpus.flatMap(({ memoryBytes, exclusive }, position) => {
      const index = gpus[position];
      return index === undefined ? [] : [{ index, memoryBytes, exclusive }];
    }),
  };
}

/** @param instanceIds - one an assignment */
export function toPlan(
  blockId: string,
  clusterId: string,
  answer: { readonly score: number; readonly assignments: readonly Assignment[] },
  resources: ResourceAmounts,
  instanceIds: readonly string[],
): PlacementPlan {
  return {
    blockId,
    clusterId,
    score: answer.score,
    instances: answer.assignments.map((assignment, at) =>
      planned(instanceIds[at] ?? `${blockId}-${at}`, assignment, resources),
    ),
  };
}

/** How many instances the nodes hold at once, counted no further than `limit`. */
export function countRoom(
  nodes: readonly NodeSnapshot[],
  resources: ResourceAmounts,
  limit: number,
): number {
  let count = 0;
  for (const given of nodes) {
    let node = given;
    while (count < limit) {
      const { memoryBytes, cpuCores } = node.free;
      const devices =
        memoryBytes >= resources.memoryBytes && cpuCores >= resources.cpuCores
          ? chooseDevices(node, resources)
          : undefined;
      if (!devices) break;
      node = withInstance(node, resources, devices);
      count += 1;
    }
  }
  return count;
}
