import { createNodeReader } from '../../../runtime/metrics/node-metrics.ts';
import type { GpuMeasurement, NodeMeasurement, NodeSnapshot } from '../../../sdk/cluster.ts';
import type { NodeMetrics } from '../../../sdk/metrics.ts';

export const gibibyte = 2 ** 30;
export const nowMs = 1_790_000_000_000;

export function measurement(values: Partial<NodeMeasurement> = {}): NodeMeasurement {
  return {
    ...{ atMs: nowMs, memoryUsedBytes: gibibyte, cpuUsedCores: 1, processes: 2 },
    ...{ load1m: 1, load5m: 2, load15m: 3 },
    ...values,
  };
}

export const gpu = (index: number, values: Partial<GpuMeasurement> = {}): GpuMeasurement => ({
  ...{ index, modelName: 'H100', totalMemoryBytes: 24 * gibibyte },
  ...{ usedMemoryBytes: 4 * gibibyte, freeMemoryBytes: 20 * gibibyte },
  ...values,
});

export interface TestNode {
  readonly id: string;
  readonly measured?: NodeMeasurement;
  readonly gpus?: number;
  readonly promisedBytes?: number;
}

/** A node of 8 GiB, 4 cores, and devices of 24 GiB. */
export function snapshotOf({ id, measured, gpus = 0, promisedBytes = 0 }: TestNode): NodeSnapshot {
  const devices = Array.from({ length: gpus }, (_, index) => ({
    ...{ index, modelName: 'H100', totalMemoryBytes: 24 * gibibyte },
    ...{ freeMemoryBytes: 20 * gibibyte, sharedBy: 0, exclusive: false },
    utilizationFraction: measured?.gpus?.[index]?.utilizationFraction ?? 0,
  }));
  const memory = devices.map(({ index }) => ({ index, memoryBytes: 24 * gibibyte }));
  return {
    id,
    healthy: true,
    capacity: { memoryBytes: 8 * gibibyte, cpuCores: 4, gpus: memory },
    free: { memoryBytes: 8 * gibibyte - promisedBytes, cpuCores: 3, gpus: memory },
    gpus: devices,
    instances: 1,
    ...(measured ? { measured } : {}),
    tags: [],
    metadata: {},
  };
}

const readNode = createNodeReader(10_000);

export const unmeasuredNode = (id: string): NodeMetrics =>
  readNode('default', 'c', snapshotOf({ id }));

export const nodeOf = (node: TestNode): NodeMetrics =>
  readNode('default', 'c', snapshotOf({ measured: measurement(), ...node }));
