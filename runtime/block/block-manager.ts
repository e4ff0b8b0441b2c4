import { AiosError } from '../../sdk/errors.ts';
import type { ClusterBackend } from '../cluster/backend.ts';
import { notFound } from '../registry/index.ts';
import type { Change } from '../store/index.ts';
import { blockReadings } from './block-readings.ts';
import { BlockReconciler } from './block-reconciler.ts';
import { blockStatus } from './block-status.ts';
import type { Instance } from './instance.ts';
import { createInstanceDirectory } from './instance-directory.ts';
import type { BlockManager, BlockManagerOptions } from './manager.ts';
import type { ReconcilerContext } from './reconciler-context.ts';
import { restoreInstances } from './restore.ts';
import { watchedBlock } from './watched-block.ts';

const watchedKinds = ['block', 'block-deletion', 'block-scale', 'component', 'policy'] as const;
const closeGraceMs = 3000;
const livenessIntervalMs = 1000;

const keyOf = (tenant: string, blockId: string): string => JSON.stringify([tenant, blockId]);

export async function createBlockManager(options: BlockManagerOptions): Promise<BlockManager> {
  const { store, documents, placement, inventory, policies, decisions, backends, log } = options;
  const blocks = new Map<string, BlockReconciler>();
  const listeners = new Set<(tenant: string, blockId: string) => void>();
  let closed = false;

  function backendOf(tenant: string, clusterId: string): ClusterBackend {
    const backend = backends.get(inventory.cluster(tenant, clusterId)?.spec.backend ?? '');
    if (!backend) throw notFound('cluster', clusterId);
    return backend;
  }

  function tell(tenant: string, blockId: string): void {
    for (const listener of [...listeners]) {
      try {
        listener(tenant, blockId);
      } catch (error) {
        // A listener's own fault must not stop the block that it listens to.
        log(`a listener to block '${blockId}' failed: ${AiosError.from(error).message}`);
      }
    }
  }

  function retryPending(cause: 'room' | 'policies' = 'policies'): void {
    inventory.touch();
    for (const block of blocks.values()) block.retry(cause);
  }

  function blockOfInstance(tenant: string, instanceId: string): BlockReconciler | undefined {
    for (const block of blocks.values()) {
      if (block.tenant === tenant && block.instances.some(({ id }) => id === instanceId))
        return block;
    }
    return undefined;
  }

  async function evict(tenant: string, ids: readonly string[], by: string): Promise<void> {
    log(`block '${by}' takes the place of ${ids.join(', ')}`);
    await Promise.all(ids.map((id) => blockOfInstance(tenant, id)?.evict(id)));
  }

  const context: ReconcilerContext = {
    store,
    documents,
    placement,
    decisions,
    policies,
    backendOf,
    hasNode: (tenant, clusterId, nodeId) =>
      inventory.cluster(tenant, clusterId)?.spec.nodes.some(({ id }) => id === nodeId) ?? false,
    exclusive: options.exclusive,
    orphanTimeoutMs: options.orphanTimeoutMs,
    ...(options.onFailure ? { onFailure: options.onFailure } : {}),
    log,
    onCapacity: () => retryPending('room'),
    onSpans: options.onSpans,
    evict,
    onChange(tenant, blockId) {
      const key = keyOf(tenant, blockId);
      if (blocks.get(key)?.gone) blocks.delete(key);
      tell(tenant, blockId);
    },
  };

  function ensure(tenant: string, blockId: string, reason: 'create' | 'restart'): BlockReconciler {
    const key = keyOf(tenant, blockId);
    const existing = blocks.get(key);
    if (existing && !existing.gone) return existing;
    const block = new BlockReconciler(tenant, blockId, reason, context);
    blocks.set(key, block);
    return block;
  }

  function findInstance(instanceId: string): Instance | undefined {
    for (const block of blocks.values()) {
      const found = block.instances.find(({ id }) => id === instanceId);
      if (found) return found;
    }
    return undefined;
  }

  const stopBackends = [...backends.values()].map((backend) =>
    backend.watch((event) => {
      const instance = findInstance(event.instanceId);
      if (event.type === 'instance-ready') instance?.reachable(event.process);
      else instance?.exited(event);
    }),
  );

  async function restore(): Promise<void> {
    for (const { document, process } of await restoreInstances({
      store,
      ledgerOf: placement.ledgerOf,
      inventory,
      backends,
    })) {
      ensure(document.tenant, document.blockId, 'restart').adopt(document, process);
    }
    for (const tenant of await store.tenants()) {
      for (const { id } of await documents.list(tenant, 'block')) ensure(tenant, id, 'restart');
    }
    for (const block of blocks.values()) block.wake();
  }

  function onDocument(change: Change): void {
    const { tenant, kind, id } = change.type === 'put' ? change.document : change.key;
    if (kind === 'policy') {
      retryPending();
    } else if (kind === 'component') {
      for (const block of blocks.values()) block.wake();
    } else if (kind === 'block-scale') {
      blocks.get(keyOf(tenant, id))?.wake();
    } else if (change.type === 'put') {
      ensure(tenant, id, 'create').wake();
    }
  }

  function onChange(listener: (tenant: string, blockId: string) => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  function nextChange(tenant: string, blockId: string, listener: () => void): () => void {
    return onChange((changedTenant, changedBlock) => {
      if (changedTenant === tenant && changedBlock === blockId) listener();
    });
  }

  await restore();
  const stopWatch = store.watch(watchedKinds, onDocument);
  let tickedAt = performance.now();
  const liveness = setInterval(() => {
    // A machine that slept has heard of nobody; that says nothing about them.
    const lateMs = Math.max(0, performance.now() - tickedAt - livenessIntervalMs);
    tickedAt = performance.now();
    for (const block of blocks.values()) {
      for (const instance of block.instances) instance.checkLiveness(lateMs);
    }
  }, livenessIntervalMs).unref();

  return {
    decisions,
    retryPending,
    onChange,
    directory: createInstanceDirectory({
      policies,
      decisions,
      log,
      nextChange,
      block: (tenant, blockId) => blocks.get(keyOf(tenant, blockId)),
      instance: findInstance,
      inventoryRevision: () => inventory.revision,
      clusterPolicies: (tenant, id) =>
        id === undefined ? undefined : inventory.cluster(tenant, id)?.spec.policies,
      closed: () => closed,
      ...(options.requests ? { requests: options.requests } : {}),
    }),
    async status(tenant, blockId) {
      const block = blocks.get(keyOf(tenant, blockId));
      const status = block && (await blockStatus(block, backendOf));
      if (status) return status;
      // Declared a moment ago: its reconciler has not looked yet.
      const { value: spec, revision } = await documents.require(tenant, 'block', blockId);
      const wantedInstances = spec.minInstances;
      return { spec, revision, state: 'pending', wantedInstances, instances: [] };
    },
    async statuses(tenant) {
      const all = [...blocks.values()].filter((block) => block.tenant === tenant);
      const found = await Promise.all(all.map((block) => blockStatus(block, backendOf)));
      const statuses = found.flatMap((status) => (status ? [status] : []));
      return statuses.sort((a, b) => (a.spec.id < b.spec.id ? -1 : 1));
    },
    readings: () => blockReadings([...blocks.values()], backendOf),
    isReady(tenant, blockId) {
      const block = blocks.get(keyOf(tenant, blockId));
      const wanted = block?.declared?.wanted;
      return wanted !== undefined && (block?.routable.length ?? 0) >= Math.max(1, wanted);
    },
    watched: (tenant, blockId) => watchedBlock(blocks.get(keyOf(tenant, blockId))),
    allWatched: () => [...blocks.values()].flatMap((block) => watchedBlock(block) ?? []),
    restartInstance(tenant, instanceId, reason) {
      const instance = findInstance(instanceId);
      if (!instance || instance.document.tenant !== tenant) return false;
      instance.fail(reason);
      return true;
    },
    reassign: async (tenant, instanceId, reason) =>
      (await blockOfInstance(tenant, instanceId)?.reassign(instanceId, reason)) ?? false,
    priorityOf: (tenant, blockId) =>
      blocks.get(keyOf(tenant, blockId))?.declared?.spec.priority ?? 0,
    startedAtMs: (_, instanceId) => findInstance(instanceId)?.document.createdAtMs ?? 0,
    tagsOf: (tenant, blockId) => blocks.get(keyOf(tenant, blockId))?.declared?.spec.tags ?? [],
    backendOfInstance(instanceId) {
      const document = findInstance(instanceId)?.document;
      const [first] = backends.values();
      const found = document ? backendOf(document.tenant, document.clusterId) : first;
      if (!found) throw new AiosError('UNSUPPORTED', 'this control plane has no cluster backend.');
      return found;
    },
    hadInstance: (tenant, instanceId) =>
      findInstance(instanceId)?.document.tenant === tenant || decisions.placed(tenant, instanceId),
    async whenGone(tenant, blockId) {
      const block = blocks.get(keyOf(tenant, blockId));
      while (block && !block.gone) {
        if (closed) throw new AiosError('CLOSED', 'The control plane is shutting down.');
        await new Promise<void>((resolve) => {
          const stop = nextChange(tenant, blockId, () => {
            stop();
            resolve();
          });
        });
      }
    },
    async close() {
      closed = true;
      stopWatch();
      clearInterval(liveness);
      // Whoever waits for a block is told, instead of waiting for ever.
      for (const { tenant, blockId } of blocks.values()) context.onChange(tenant, blockId);
      const results = await Promise.allSettled(
        [...blocks.values()].map((block) => block.close(closeGraceMs)),
      );
      for (const stop of stopBackends) stop();
      listeners.clear();
      const failed = results.find((result) => result.status === 'rejected');
      if (failed) throw AiosError.from(failed.reason);
    },
  };
}
