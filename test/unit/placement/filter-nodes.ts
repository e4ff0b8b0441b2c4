import type { GpuSnapshot, NodeSnapshot } from '../../../sdk/cluster.ts';
import { gibibyte } from '../../support/clusters.ts';

export const condition = (variable: string, operator: string, value: unknown) => ({
  ...{ variable, operator, value },
});
export const and = (...conditions: unknown[]) => ({ logicalOperator: 'AND', conditions });
export const or = (...conditions: unknown[]) => ({ logicalOperator: 'OR', conditions });

export const gpu = (index: number, changes: Partial<GpuSnapshot> = {}): GpuSnapshot =>
  Object.freeze({
    ...{ index, modelName: 'NVIDIA A100', totalMemoryBytes: 40 * gibibyte },
    ...{ freeMemoryBytes: 20 * gibibyte, utilizationFraction: 0.5 },
    ...{ sharedBy: 0, exclusive: false },
    ...changes,
  });

export function node(
  id: string,
  gpus: readonly GpuSnapshot[] = [],
  changes: Partial<NodeSnapshot> = {},
): NodeSnapshot {
  const amounts = gpus.map(({ index, freeMemoryBytes: memoryBytes }) => ({ index, memoryBytes }));
  return Object.freeze({
    ...{ id, healthy: true, instances: 0, gpus: Object.freeze(gpus) },
    capacity: { memoryBytes: 128 * gibibyte, cpuCores: 32, gpus: amounts },
    free: { memoryBytes: 64 * gibibyte, cpuCores: 16, gpus: amounts },
    ...{ tags: Object.freeze(['production']), metadata: Object.freeze({}) },
    ...changes,
  });
}

export const measured = (changes: Partial<NonNullable<NodeSnapshot['measured']>>) => ({
  measured: {
    ...{ atMs: 0, memoryUsedBytes: 32 * gibibyte, cpuUsedCores: 1, load1m: 1, load5m: 1 },
    ...{ load15m: 1, processes: 7 },
    ...changes,
  },
});
