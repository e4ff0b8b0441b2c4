import type { ClusterSnapshot, GpuSnapshot, NodeSnapshot } from '../../../sdk/cluster.ts';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import type { HookAnswer, HookInput } from '../../../sdk/hooks.ts';
import type { ResourceAmounts } from '../../../sdk/spec/common.ts';

export type DryRun = HookAnswer<'resourceAllocator', 'dry_run'>;

/** A device of 24 units, free and idle unless it is said otherwise. */
export const device = (index: number, more: Partial<GpuSnapshot> = {}): GpuSnapshot => ({
  ...{ index, modelName: 'example-gpu', totalMemoryBytes: 24, freeMemoryBytes: 24 },
  ...{ utilizationFraction: 0, sharedBy: 0, exclusive: false },
  ...more,
});

/** A node of 16 units of memory and 8 cores. */
export function node(
  id: string,
  more: {
    readonly memory?: number;
    readonly free?: number;
    readonly cores?: number;
    readonly gpus?: readonly GpuSnapshot[];
    readonly load15m?: number;
    readonly healthy?: boolean;
    readonly tags?: readonly string[];
    readonly metadata?: NodeSnapshot['metadata'];
  } = {},
): NodeSnapshot {
  const { memory = 16, free = memory, cores = 8, gpus = [], load15m } = more;
  const measured = {
    ...{ atMs: 0, memoryUsedBytes: 0, cpuUsedCores: load15m ?? 0, load1m: load15m ?? 0 },
    ...{ load5m: load15m ?? 0, load15m: load15m ?? 0, processes: 1 },
  };
  const amounts = (memoryBytes: number, of: 'totalMemoryBytes' | 'freeMemoryBytes') => ({
    ...{ memoryBytes, cpuCores: cores },
    gpus: gpus.map((gpu) => ({ index: gpu.index, memoryBytes: gpu[of] })),
  });
  return {
    ...{ id, healthy: more.healthy ?? true, instances: 0, gpus },
    ...{ tags: more.tags ?? [], metadata: more.metadata ?? {} },
    capacity: amounts(memory, 'totalMemoryBytes'),
    free: amounts(free, 'freeMemoryBytes'),
    ...(load15m === undefined ? {} : { measured }),
  };
}

export const cluster = (
  id: string,
  nodes: readonly NodeSnapshot[],
  regionId = 'local',
): ClusterSnapshot => ({ id, regionId, tags: [], metadata: {}, nodes });

export const shares = (...memoryBytes: number[]): ResourceAmounts['gpus'] =>
  memoryBytes.map((bytes) => ({ memoryBytes: bytes, exclusive: false }));

/** Where instances of a block that runs nowhere yet would go. */
export function dryRunOn(
  nodes: readonly NodeSnapshot[],
  more: {
    readonly instances?: number;
    readonly resources?: Partial<ResourceAmounts>;
    readonly tags?: readonly string[];
    /** Nodes that hold an instance each already. */
    readonly held?: readonly string[];
    /** Nodes of the cluster that are not in question: full, or not healthy. */
    readonly others?: readonly NodeSnapshot[];
  } = {},
): HookInput<'resourceAllocator', 'dry_run'> {
  const { instances = 1, resources = {}, tags = [], held = [], others = [] } = more;
  const example = exampleInputs.resourceAllocator.dry_run;
  return {
    ...{ action: 'dry_run', instances, nodes, cluster: cluster('c', [...nodes, ...others]) },
    block: {
      ...{ ...example.block, tags },
      resources: { memoryBytes: 1, cpuCores: 0, gpus: [], ...resources },
      instances: held.map((nodeId, at) => ({ id: `in-${at}`, clusterId: 'c', nodeId })),
    },
  };
}
