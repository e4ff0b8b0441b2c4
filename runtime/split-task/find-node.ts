import { randomUUID } from 'node:crypto';
import type { SplitTask } from '../../sdk/client/split-task.ts';
import { PlacementError } from '../../sdk/errors.ts';
import type { NewDecision } from '../decision/index.ts';
import type { Placement } from '../placement/placement.ts';

export interface FindNodeParts {
  readonly placement: Pick<Placement, 'place' | 'ledgerOf'>;
  readonly record: (decision: NewDecision) => void;
}

/** A node that holds memory for a split while it runs. */
export interface HeldNode {
  readonly place: NonNullable<SplitTask['place']>;
  release(): void;
}

const componentUri = 'task.split:1.0.0-stable';

/**
 * Asks the placement policies for a node, as for a block of one instance, and has its memory promised.
 *
 * @throws {PlacementError} NO_CANDIDATE - why, node by node, is in the decision
 */
export async function findNode(
  { placement, record }: FindNodeParts,
  tenant: string,
  taskId: string,
  memoryBytes: number,
): Promise<HeldNode> {
  const instanceId = `${taskId}-${randomUUID().slice(0, 8)}`;
  const { decision, reservationId, preempted } = await placement.place(
    {
      tenant,
      block: {
        ...{ id: taskId, componentUri, tenant, minInstances: 1, maxInstances: 1 },
        ...{
          resources: { memoryBytes, cpuCores: 1, gpus: [] },
          tags: ['split-task'],
          instances: [],
        },
      },
      // Those of the clusters and the network.
      policies: {},
      instances: 1,
      reason: 'create',
      workload: 'code',
      instanceIds: [instanceId],
    },
    { reserve: true },
  );
  record(decision);
  const planned = decision.plan?.instances[0];
  const ledger = placement.ledgerOf(tenant);
  if (reservationId === undefined || !planned || preempted) {
    if (reservationId !== undefined) ledger.cancel(reservationId);
    throw new PlacementError(
      'NO_CANDIDATE',
      `no node takes the split task: ${decision.message.replace(/\.$/, '')}. See why: aios get decision ${decision.id}`,
      { details: { decisionId: decision.id } },
    );
  }
  ledger.commit(reservationId);
  return {
    place: {
      clusterId: decision.plan?.clusterId ?? '',
      nodeId: planned.nodeId,
      decisionId: decision.id,
    },
    release: () => ledger.release(instanceId),
  };
}
