import type { BlockStatus, InstanceStatus } from '../../sdk/client/api.ts';
import type { ClusterBackend } from '../cluster/backend.ts';
import type { BlockReconciler } from './block-reconciler.ts';
import type { Instance } from './instance.ts';

function stateOf(block: BlockReconciler, wanted: number): BlockStatus['state'] {
  if (block.declared?.leaving) return 'deleting';
  const ready = block.routable.length;
  if (ready >= wanted) return 'running';
  if (ready > 0) return 'degraded';
  return block.instances.some(({ state }) => state === 'starting') ? 'starting' : 'pending';
}

async function instanceStatus(
  instance: Instance,
  backend: ClusterBackend,
): Promise<InstanceStatus> {
  const { document, selfStatus, process, lastError } = instance;
  const usage = await backend.usage(instance.id);
  return {
    id: instance.id,
    blockId: document.blockId,
    clusterId: document.clusterId,
    nodeId: document.nodeId,
    state: instance.state,
    gpus: document.planned.gpus.map(({ index }) => index),
    startedAtMs: document.createdAtMs,
    restarts: document.restarts,
    memoryBytes: document.planned.memoryBytes,
    outstandingRequests: instance.outstanding,
    ...(process ? { pid: process.pid } : {}),
    ...(usage
      ? { residentBytes: usage.residentBytes, peakResidentBytes: usage.peakResidentBytes }
      : {}),
    ...(selfStatus ? { emptyResidentBytes: selfStatus.emptyResidentBytes } : {}),
    ...(usage && selfStatus
      ? { aboveEmptyBytes: Math.max(0, usage.residentBytes - selfStatus.emptyResidentBytes) }
      : {}),
    ...(selfStatus?.counters ? { counters: selfStatus.counters } : {}),
    ...(lastError === undefined ? {} : { lastError }),
  };
}

/** What a block is doing, with its processes measured now. */
export async function blockStatus(
  block: BlockReconciler,
  backendOf: (tenant: string, clusterId: string) => ClusterBackend,
): Promise<BlockStatus | undefined> {
  const { declared, instances, reason, decisionId } = block;
  if (!declared) return undefined;
  const state = stateOf(block, declared.wanted);
  const statuses = await Promise.all(
    instances.map((instance) =>
      instanceStatus(instance, backendOf(block.tenant, instance.document.clusterId)),
    ),
  );
  const clusterId = instances[0]?.document.clusterId;
  return {
    spec: declared.spec,
    revision: declared.revision,
    state,
    wantedInstances: declared.wanted,
    instances: statuses,
    ...(clusterId === undefined ? {} : { clusterId }),
    ...(state === 'running' || reason === undefined ? {} : { reason }),
    ...(decisionId === undefined ? {} : { decisionId }),
  };
}
