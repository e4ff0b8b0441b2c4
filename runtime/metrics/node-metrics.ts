import type {
  GpuMeasurement,
  GpuSnapshot,
  NodeMeasurement,
  NodeSnapshot,
} from '../../sdk/cluster.ts';
import {
  type MetricField,
  type MetricName,
  metricFields,
  metricNames,
} from '../../sdk/metric-fields.ts';
import type { GpuMetrics, NodeMetrics } from '../../sdk/metrics.ts';
import { createMean } from './combine.ts';

const deviceFields = metricNames.flatMap((name) => {
  const { device }: MetricField = metricFields[name];
  return device ? [{ name, device }] : [];
});

/** Whose document it is, and how long it holds. */
interface Belongs {
  readonly tenant: string;
  readonly clusterId: string;
  readonly staleAfterMs: number;
}

type Values = Partial<Record<MetricName, number>>;

/** What is not known is not there: JSON has no NaN, and a policy must not take one for a number. */
export function set(values: Values, name: MetricName, value: number | undefined): void {
  if (value !== undefined && Number.isFinite(value)) values[name] = value;
}

function gpuValues(
  { totalMemoryBytes, freeMemoryBytes }: GpuSnapshot,
  reading: GpuMeasurement | undefined,
): GpuMetrics['values'] {
  const usedMemoryBytes = totalMemoryBytes - freeMemoryBytes;
  const values: { -readonly [Name in keyof GpuMetrics['values']]: GpuMetrics['values'][Name] } = {
    totalMemoryBytes,
    freeMemoryBytes,
    usedMemoryBytes,
    usedMemoryFraction: usedMemoryBytes / Math.max(1, totalMemoryBytes),
  };
  if (!reading) return values;
  const { utilizationFraction, temperatureCelsius, powerWatts } = reading;
  values.measuredUsedMemoryBytes = reading.usedMemoryBytes;
  if (utilizationFraction !== undefined) values.utilizationFraction = utilizationFraction;
  if (temperatureCelsius !== undefined) values.temperatureCelsius = temperatureCelsius;
  if (powerWatts !== undefined) values.powerWatts = powerWatts;
  return values;
}

function gpuMetrics(
  { tenant, clusterId, staleAfterMs }: Belongs,
  nodeId: string,
  gpu: GpuSnapshot,
  measured: NodeMeasurement | undefined,
): GpuMetrics {
  const { index, modelName } = gpu;
  return {
    type: 'gpu',
    id: `${nodeId}/${index}`,
    tenant,
    clusterId,
    nodeId,
    index,
    modelName,
    collectedAtMs: measured?.atMs ?? 0,
    staleAfterMs,
    values: gpuValues(
      gpu,
      measured?.gpus?.find((reading) => reading.index === index),
    ),
  };
}

function setMeasured(values: Values, node: NodeSnapshot, measured: NodeMeasurement): void {
  const { machine, storageFreeBytes, storageUsedBytes } = measured;
  const storageBytes = (storageFreeBytes ?? Number.NaN) + (storageUsedBytes ?? Number.NaN);
  set(values, 'cpuUsedCores', measured.cpuUsedCores);
  set(values, 'cpuUsedFraction', measured.cpuUsedCores / node.capacity.cpuCores);
  set(values, 'load1m', measured.load1m);
  set(values, 'load5m', measured.load5m);
  set(values, 'load15m', measured.load15m);
  set(values, 'processes', measured.processes);
  set(values, 'weightBytesPerSecond', measured.weightBytesPerSecond);
  set(values, 'memoryUsedBytes', measured.memoryUsedBytes);
  const capacityBytes = Math.max(1, node.capacity.memoryBytes);
  set(values, 'memoryUsedFraction', measured.memoryUsedBytes / capacityBytes);
  set(values, 'swapFreeBytes', machine?.swapFreeBytes);
  set(values, 'swapUsedBytes', machine?.swapUsedBytes);
  set(values, 'storageFreeBytes', storageFreeBytes);
  set(values, 'storageUsedBytes', storageUsedBytes);
  set(values, 'storageLargestBytes', storageBytes);
  set(values, 'storageSmallestBytes', storageBytes);
  set(values, 'diskReadBytes', machine?.diskReadBytes);
  set(values, 'diskWrittenBytes', machine?.diskWrittenBytes);
  set(values, 'networkReceivedBytes', measured.networkReceivedBytes);
  set(values, 'networkSentBytes', measured.networkSentBytes);
}

function setDevices(values: Values, gpus: readonly GpuMetrics[]): void {
  let [total, free] = [0, 0];
  for (const gpu of gpus) {
    total += gpu.values.totalMemoryBytes;
    free += gpu.values.freeMemoryBytes;
  }
  values.gpuCount = gpus.length;
  values.gpuTotalMemoryBytes = total;
  values.gpuFreeMemoryBytes = free;
  values.gpuUsedMemoryBytes = total - free;
  for (const { name, device } of deviceFields) {
    const mean = createMean();
    for (const gpu of gpus) mean.add(gpu.values[device]);
    set(values, name, mean.value);
  }
}

function read(belongs: Belongs, node: NodeSnapshot): NodeMetrics {
  const { measured } = node;
  const gpus = node.gpus.map((gpu) => gpuMetrics(belongs, node.id, gpu, measured));
  const values: Values = {
    cpuCores: node.capacity.cpuCores,
    cpuFreeCores: node.free.cpuCores,
    memoryTotalBytes: node.capacity.memoryBytes,
    memoryFreeBytes: node.free.memoryBytes,
    instances: node.instances,
  };
  setDevices(values, gpus);
  if (measured) setMeasured(values, node, measured);
  return {
    type: 'node',
    id: node.id,
    tenant: belongs.tenant,
    clusterId: belongs.clusterId,
    collectedAtMs: measured?.atMs ?? 0,
    staleAfterMs: belongs.staleAfterMs,
    ...(measured?.machineId === undefined ? {} : { machineId: measured.machineId }),
    values,
    gpus,
  };
}

/**
 * Makes the documents of nodes from what placement sees of them, so that both say the same; once, as long as nothing about
 * a node changed. A node that was not measured yet is collected at 0.
 */
export function createNodeReader(
  staleAfterMs: number,
): (tenant: string, clusterId: string, node: NodeSnapshot) => NodeMetrics {
  // A snapshot is one cluster's of one tenant.
  const known = new WeakMap<NodeSnapshot, NodeMetrics>();
  return (tenant, clusterId, node) => {
    const found = known.get(node);
    if (found) return found;
    const metrics = read({ tenant, clusterId, staleAfterMs }, node);
    known.set(node, metrics);
    return metrics;
  };
}
