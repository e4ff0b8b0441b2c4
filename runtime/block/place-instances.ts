import type { Decision } from '../../sdk/client/api.ts';
import { AiosError, PlacementError } from '../../sdk/errors.ts';
import type { BlockSpec } from '../../sdk/spec/block.ts';
import type { PolicyReference, ResourceAmounts } from '../../sdk/spec/common.ts';
import type { ClusterBackend, InstanceStart, WorkloadType } from '../cluster/backend.ts';
import type { DecisionLog } from '../decision/index.ts';
import type { Placement, PlacementRequest } from '../placement/placement.ts';
import type { Operation, Store } from '../store/index.ts';
import {
  type InstanceDocument,
  instanceKey,
  newInstanceId,
  newSecret,
} from './instance-document.ts';
import type { Refusal } from './waiting.ts';
import type { Workload } from './workload.ts';

export interface PlacingContext {
  readonly store: Store;
  readonly placement: Placement;
  readonly decisions: DecisionLog;
  /** Runs alone among everything that changes what is declared. */
  readonly exclusive: <T>(task: () => Promise<T>) => Promise<T>;
  /** @throws {AiosError} NOT_FOUND - the cluster is gone */
  readonly backendOf: (tenant: string, clusterId: string) => ClusterBackend;
  readonly hasNode: (tenant: string, clusterId: string, nodeId: string) => boolean;
  /** Ends instances of other blocks, which make room for one; resolves when they are gone. */
  readonly evict: (tenant: string, instanceIds: readonly string[], by: string) => Promise<void>;
}

export interface PlacingRequest {
  readonly tenant: string;
  readonly spec: BlockSpec;
  readonly policies: Readonly<Record<string, PolicyReference>>;
  readonly resources?: ResourceAmounts | undefined;
  /** Instances that stay; new ones join them on their cluster. */
  readonly present: readonly InstanceDocument[];
  readonly count: number;
  /** Restart counts of the places to be filled, as far as they were filled before. */
  readonly restarts: readonly number[];
  readonly reason: Decision['reason'];
  readonly reassigned?: PlacementRequest['reassigned'];
  /** Nodes to be on, where others would do as well. */
  readonly prefer?: readonly string[] | undefined;
  readonly workloadHash: string;
  readonly workload: WorkloadType;
  readonly isClosed: () => boolean;
}

/** Document and ledger entry, or neither. */
async function keepPromise(
  context: PlacingContext,
  created: readonly InstanceDocument[],
  decision: Decision,
  reservationId: string,
  isClosed: () => boolean,
): Promise<void> {
  const { decisions, placement, hasNode } = context;
  const ledger = placement.ledgerOf(decision.tenant);
  try {
    if (isClosed()) throw new AiosError('CLOSED', 'The control plane is shutting down.');
    // The cluster may have been deleted, or have lost the node, since it was chosen.
    const lost = created.find((it) => !hasNode(it.tenant, it.clusterId, it.nodeId));
    if (lost) {
      throw new PlacementError(
        'CAPACITY_LOST',
        `block '${lost.blockId}': node '${lost.nodeId}' of cluster '${lost.clusterId}' is gone. It is placed again.`,
      );
    }
    ledger.commit(reservationId);
    const puts = created.map(
      (value): Operation => ({
        ...instanceKey(value.tenant, value.id),
        type: 'put',
        value,
        ifRevision: 0,
      }),
    );
    await decisions.recordNow(decision, puts);
  } catch (error) {
    ledger.cancel(reservationId);
    for (const { id } of created) ledger.release(id);
    throw error;
  }
}

/** The block's own rules, and the nodes that whoever scaled it would have. */
function placementOf({ placement }: BlockSpec, prefer: readonly string[] = []) {
  if (prefer.length === 0) return placement ? { placement } : {};
  const filter = { nodeQuery: { variable: 'id', operator: 'IN', value: [...prefer] } };
  const { nodeAffinity, ...rest } = placement ?? {
    ...{ affinity: [], antiAffinity: [], tolerations: [] },
  };
  const preferred = [...(nodeAffinity?.preferred ?? []), { weight: 1, filter }];
  return { placement: { ...rest, nodeAffinity: { ...nodeAffinity, preferred } } };
}

/** The documents of what is to be started now; without them the decision says why there is no place. */
export interface PlacingOutcome {
  readonly decision: Decision;
  readonly created?: readonly InstanceDocument[];
  readonly refusal?: Refusal;
}

/**
 * Places instances and writes the promise down: exactly the plan that was scored and reserved. Whoever's place
 * they take has ended before they are committed.
 */
export async function placeInstances(
  context: PlacingContext,
  request: PlacingRequest,
): Promise<PlacingOutcome> {
  const { tenant, spec, count, present, reassigned } = request;
  const [neighbour] = present;
  const asked: PlacementRequest = {
    tenant,
    block: {
      id: spec.id,
      componentUri: spec.componentUri,
      tenant,
      minInstances: spec.minInstances,
      maxInstances: spec.maxInstances,
      tags: spec.tags,
      instances: present.map(({ id, clusterId, nodeId }) => ({ id, clusterId, nodeId })),
      ...(request.resources ? { resources: request.resources } : {}),
      ...(spec.priority === undefined ? {} : { priority: spec.priority }),
      ...placementOf(spec, request.prefer),
    },
    policies: request.policies,
    instances: count,
    instanceIds: Array.from({ length: count }, () => newInstanceId(spec.id)),
    reason: request.reason,
    workload: request.workload,
    ...(neighbour ? { onlyClusterId: neighbour.clusterId } : {}),
    ...(reassigned ? { reassigned } : {}),
  };
  const placed = await context.placement.place(asked, { reserve: true });
  const { decision, reservationId, preempted = [], awaited, isLost } = placed;
  const plan = decision.plan;
  if (reservationId === undefined || !plan) {
    return isLost ? { decision } : { decision, refusal: { request: asked, awaited } };
  }
  const created = plan.instances.map(
    (planned, index): InstanceDocument => ({
      id: planned.instanceId,
      tenant,
      blockId: spec.id,
      clusterId: plan.clusterId,
      nodeId: planned.nodeId,
      planned,
      secret: newSecret(),
      workloadHash: request.workloadHash,
      restarts: request.restarts[index] ?? 0,
      createdAtMs: Date.now(),
    }),
  );
  try {
    if (preempted.length > 0) await context.evict(tenant, preempted, spec.id);
  } catch (error) {
    context.placement.ledgerOf(tenant).cancel(reservationId);
    throw error;
  }
  await context.exclusive(() =>
    keepPromise(context, created, decision, reservationId, request.isClosed),
  );
  return { decision, created };
}

export function bootOf(
  document: InstanceDocument,
  { workload, files, threads }: Workload,
  orphanTimeoutMs: number,
): InstanceStart {
  const { tenant, id, blockId, clusterId, nodeId, secret, planned } = document;
  return {
    files,
    boot: {
      ...{ tenant, instanceId: id, blockId, clusterId, nodeId, secret },
      orphanTimeoutMs,
      gpus: planned.gpus.map(({ index }) => index),
      threads,
      workload,
    },
  };
}
