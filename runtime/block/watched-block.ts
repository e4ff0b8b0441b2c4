import type { BlockView, HookInput } from '../../sdk/hooks.ts';
import type { BlockReconciler } from './block-reconciler.ts';
import type { Declared } from './declared.ts';

/** A block as whoever scales and heals it sees it. */
export interface WatchedBlock {
  readonly tenant: string;
  readonly view: BlockView;
  readonly declared: Declared;
  readonly clusterId?: string;
  readonly instances: HookInput<'stabilityChecker', 'block'>['instances'];
  /** Instances start, stop or are looked for; a block that waits for room does not move. */
  readonly moving: boolean;
}

const none = { memoryBytes: 0, cpuCores: 0, gpus: [] };

export function watchedBlock(block: BlockReconciler | undefined): WatchedBlock | undefined {
  const { declared } = block ?? {};
  if (!block || !declared || block.gone || declared.leaving) return undefined;
  const { tenant, instances } = block;
  const { spec, resources = none, wanted } = declared;
  const { id, componentUri, minInstances, maxInstances, tags, priority, placement } = spec;
  const clusterId = instances[0]?.document.clusterId;
  const steady = instances.every(({ state }) => state === 'ready');
  const waits = instances.length < wanted && block.waits;
  return {
    ...{ tenant, declared },
    view: {
      ...{ id, componentUri, tenant, minInstances, maxInstances, resources, tags },
      ...(priority === undefined ? {} : { priority }),
      ...(placement ? { placement } : {}),
      instances: instances.map(({ document }) => ({
        id: document.id,
        clusterId: document.clusterId,
        nodeId: document.nodeId,
      })),
    },
    ...(clusterId === undefined ? {} : { clusterId }),
    instances: instances.map((instance) => ({
      id: instance.id,
      nodeId: instance.document.nodeId,
      state: instance.state,
      healthy: instance.state !== 'failed' && instance.selfStatus?.health?.status !== 'unhealthy',
      restarts: instance.document.restarts,
      ...(instance.lastError === undefined ? {} : { lastError: instance.lastError }),
    })),
    moving: !(steady && (instances.length === wanted || waits)),
  };
}
