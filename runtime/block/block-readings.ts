import type { ClusterBackend, InstanceUsage } from '../cluster/backend.ts';
import type { BlockReading, InstanceReading } from '../metrics/index.ts';
import type { BlockReconciler } from './block-reconciler.ts';
import type { Instance } from './instance.ts';

type BackendOf = (tenant: string, clusterId: string) => ClusterBackend;

/** Undefined for one that has no process, or whose cluster is no more. */
async function usageOf(
  { id, document }: Instance,
  backendOf: BackendOf,
): Promise<InstanceUsage | undefined> {
  try {
    return await backendOf(document.tenant, document.clusterId).usage(id);
  } catch {
    return undefined;
  }
}

/** @returns requests that wait inside the instance; undefined where it does not say: only shards do */
export function queuedIn({
  selfStatus,
  outstanding,
}: Pick<Instance, 'selfStatus' | 'outstanding'>): number | undefined {
  const { queuedSteps } = selfStatus?.counters ?? {};
  // A long prompt waits as several steps, and is one request.
  return queuedSteps === undefined ? undefined : Math.min(queuedSteps, outstanding);
}

async function instanceReading(
  instance: Instance,
  ready: boolean,
  backendOf: BackendOf,
): Promise<InstanceReading> {
  const { clusterId, nodeId, planned } = instance.document;
  const usage = await usageOf(instance, backendOf);
  const queuedRequests = queuedIn(instance);
  return {
    instanceId: instance.id,
    clusterId,
    nodeId,
    ready,
    promised: { memoryBytes: planned.memoryBytes, cpuCores: planned.cpuCores },
    gpus: planned.gpus.map(({ index }) => index),
    outstandingRequests: instance.outstanding,
    ...(queuedRequests === undefined ? {} : { queuedRequests }),
    ...(instance.selfStatus?.counters ? { shard: instance.selfStatus.counters } : {}),
    ...(usage ? { cpuSeconds: usage.cpuSeconds, residentBytes: usage.residentBytes } : {}),
  };
}

/** What metrics are made of: every block and its instances, with their processes measured now. */
export function blockReadings(
  blocks: readonly BlockReconciler[],
  backendOf: BackendOf,
): Promise<readonly BlockReading[]> {
  const declared = blocks.filter((block) => block.declared && !block.gone);
  return Promise.all(
    declared.map(async ({ tenant, blockId, instances, routable }) => {
      const clusterId = instances[0]?.document.clusterId;
      const readings = instances.map((one) =>
        instanceReading(one, routable.includes(one), backendOf),
      );
      return {
        tenant,
        blockId,
        ...(clusterId === undefined ? {} : { clusterId }),
        instances: await Promise.all(readings),
      };
    }),
  );
}
