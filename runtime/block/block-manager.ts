import type { BlockStatus } from '../../sdk/client/api.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { ClusterBackend } from '../cluster/backend.ts';
import type { InstanceDirectory } from '../control-plane.ts';
import type { BlockReading, Inventory, RequestRecorder } from '../metrics/index.ts';
import type { Placement } from '../placement/placement.ts';
import type { PolicyHost } from '../policy/host.ts';
import { type Documents, notFound } from '../registry/index.ts';
import type { Change, Store } from '../store/index.ts';
import { blockReadings } from './block-readings.ts';
import { BlockReconciler, type ReconcilerContext } from './block-reconciler.ts';
import { blockStatus } from './block-status.ts';
import { type Decisions, openDecisions } from './decisions.ts';
import type { Instance } from './instance.ts';
import { createInstanceDirectory } from './instance-directory.ts';
import { restoreInstances } from './restore.ts';

export interface BlockManagerOptions {
  readonly store: Store;
  readonly documents: Documents;
  readonly placement: Placement;
  readonly inventory: Inventory;
  readonly policies: PolicyHost;
  /** By `ClusterSpec.backend`. */
  readonly backends: ReadonlyMap<string, ClusterBackend>;
  /** Runs a task alone among everything that changes what is declared. */
  readonly exclusive: <T>(task: () => Promise<T>) => Promise<T>;
  readonly orphanTimeoutMs: number;
  /** Told of every request. */
  readonly requests?: RequestRecorder;
  readonly log: (line: string) => void;
}

/** All blocks: one reconciler each, woken by documents, processes and capacity. */
export interface BlockManager {
  readonly directory: InstanceDirectory;
  readonly decisions: Decisions;
  /** @throws {AiosError} NOT_FOUND */
  status(tenant: string, blockId: string): Promise<BlockStatus>;
  /** In id order. */
  statuses(tenant: string): Promise<readonly BlockStatus[]>;
  /** Of all tenants, for metrics. */
  readings(): Promise<readonly BlockReading[]>;
  isReady(tenant: string, blockId: string): boolean;
  /** As last declared; none of a block that is not there. */
  tagsOf(tenant: string, blockId: string): readonly string[];
  /** Whether the instance is, or was not long ago, one of this tenant's blocks. */
  hadInstance(tenant: string, instanceId: string): boolean;
  /** Of an instance that is gone: the one that keeps logs of such. */
  backendOfInstance(instanceId: string): ClusterBackend;
  /** Resolves when a block whose deletion is stored is gone, with all its processes. */
  whenGone(tenant: string, blockId: string): Promise<void>;
  /** Capacity was added, or policies changed. */
  retryPending(): void;
  onChange(listener: (tenant: string, blockId: string) => void): () => void;
  /** Ends every instance. Blocks stay declared. */
  close(): Promise<void>;
}

const closeGraceMs = 3000;
const livenessIntervalMs = 1000;

const keyOf = (tenant: string, blockId: string): string => JSON.stringify([tenant, blockId]);

export async function createBlockManager(options: BlockManagerOptions): Promise<BlockManager> {
  const { store, documents, placement, inventory, policies, backends, log } = options;
  const blocks = new Map<string, BlockReconciler>();
  const listeners = new Set<(tenant: string, blockId: string) => void>();
  const decisions = await openDecisions(store);
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

  function retryPending(): void {
    inventory.touch();
    for (const block of blocks.values()) block.retry();
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
    log,
    onCapacity: retryPending,
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
  const stopWatch = store.watch(['block', 'block-deletion', 'component', 'policy'], onDocument);
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
      log,
      nextChange,
      block: (tenant, blockId) => blocks.get(keyOf(tenant, blockId)),
      instance: findInstance,
      inventoryRevision: () => inventory.revision,
      closed: () => closed,
      ...(options.requests ? { requests: options.requests } : {}),
    }),
    async status(tenant, blockId) {
      const block = blocks.get(keyOf(tenant, blockId));
      const status = block && (await blockStatus(block, backendOf));
      if (status) return status;
      // Declared a moment ago: its reconciler has not looked yet.
      const { value: spec, revision } = await documents.require(tenant, 'block', blockId);
      return { spec, revision, state: 'pending', instances: [] };
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
      const wanted = block?.declared?.spec.minInstances;
      return wanted !== undefined && (block?.routable.length ?? 0) >= Math.max(1, wanted);
    },
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
