import { type MetricField, type MetricName, metricFields, metricNames } from './metric-fields.ts';
import type {
  AnyMetrics,
  BlockMetrics,
  ClusterMetrics,
  GpuMetrics,
  InstanceMetrics,
  LoadMetrics,
  MetricValues,
  MetricWindow,
  NodeMetrics,
  VdagMetrics,
} from './metrics.ts';
import { mebibyte } from './units.ts';

type Document = Record<string, unknown>;

const toUnit = (value: number, unit: MetricField['aiosUnit']): number =>
  unit === 'mebibytes' ? value / mebibyte : unit === 'percent' ? value * 100 : value;

/** Writes `value` where `a.b.c` says, making the objects on the way. */
function put(document: Document, path: string, value: unknown): void {
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  let at = document;
  for (const key of keys) {
    at[key] ??= {};
    at = at[key] as Document;
  }
  at[last] = value;
}

function resources(values: MetricValues): Document {
  const document: Document = {};
  for (const name of metricNames) {
    const { aios, aiosUnit }: MetricField = metricFields[name];
    const value = values[name];
    if (aios !== undefined && value !== undefined) put(document, aios, toUnit(value, aiosUnit));
  }
  return document;
}

const windows = ['1m', '5m', '15m'] as const;

/** Bytes that went over the network in each window: AIOS has the fields, and writes 0. */
function traffic(document: Document, found: NodeMetrics['windows']): void {
  const write = (name: MetricName, prefix: string): void => {
    const window = found?.[name];
    if (!window) return;
    for (const length of windows) {
      const seconds = Number.parseInt(length, 10) * 60;
      put(document, `network.${prefix}Bytes${length}`, window.averages[length] * seconds);
    }
  };
  write('networkReceivedBytes', 'rx');
  write('networkSentBytes', 'tx');
}

function device({ index, values }: GpuMetrics): Document {
  const { utilizationFraction, temperatureCelsius, powerWatts } = values;
  return {
    gpu_id: index,
    usedMem: values.usedMemoryBytes / mebibyte,
    freeMem: values.freeMemoryBytes / mebibyte,
    totalMem: values.totalMemoryBytes / mebibyte,
    memUtilization: values.usedMemoryFraction * 100,
    ...(utilizationFraction === undefined ? {} : { cudaUtilization: utilizationFraction * 100 }),
    ...(powerWatts === undefined ? {} : { powerUtilization: powerWatts }),
    ...(temperatureCelsius === undefined ? {} : { temperature: temperatureCelsius }),
  };
}

function nodeResources(node: NodeMetrics): Document {
  const document = { id: node.id, ...resources(node.values), gpus: node.gpus.map(device) };
  traffic(document, node.windows);
  return document;
}

const seconds = (milliseconds: number): number => milliseconds / 1000;

/** As AIOS stores a node: MB of 2^20 bytes, percent, watts. `timestamp`, in seconds, is ours. */
export function toAiosNode(node: NodeMetrics): Document {
  return {
    type: 'hardware',
    nodeId: node.id,
    clusterId: node.clusterId,
    timestamp: seconds(node.collectedAtMs),
    metrics: { resource: { node: nodeResources(node) } },
  };
}

/**
 * As AIOS stores a cluster, but averages are averaged, and `gpus` is the list of all devices, each with its node: AIOS sums
 * both.
 */
export function toAiosCluster(cluster: ClusterMetrics): Document {
  const own: Document = {
    ...resources(cluster.values),
    gpus: cluster.nodes.flatMap(({ id, gpus }) =>
      gpus.map((gpu) => ({ nodeId: id, ...device(gpu) })),
    ),
  };
  traffic(own, cluster.windows);
  return {
    clusterId: cluster.id,
    timestamp: seconds(cluster.collectedAtMs),
    cluster: own,
    nodes: cluster.nodes.map(nodeResources),
  };
}

const rolling = (window: MetricWindow, factor = 1): Document => ({
  current: window.last * factor,
  average_1m: window.averages['1m'] * factor,
  average_5m: window.averages['5m'] * factor,
  average_15m: window.averages['15m'] * factor,
});

/** `end_to_end_count_total` counts each request once, and `fps` is requests per second: in AIOS neither is so. */
function load(metrics: LoadMetrics): Document {
  const { latencyMs } = metrics;
  return {
    end_to_end_count_total: metrics.requestsTotal,
    end_to_end_fps: metrics.requestsPerSecond.last,
    fps: rolling(metrics.requestsPerSecond),
    queue_length: rolling(metrics.queueLength),
    tasks_processed: {
      tasks_processed_total: metrics.requestsTotal - metrics.outstandingRequests.last,
    },
    ...(latencyMs
      ? { end_to_end_latency: seconds(latencyMs.last), latency: rolling(latencyMs, 1 / 1000) }
      : {}),
  };
}

function hardware({ promised, cpuFraction, memoryUsedBytes }: InstanceMetrics): Document {
  return {
    cpu: cpuFraction ? { percent: cpuFraction.last * 100 } : {},
    memory: memoryUsedBytes
      ? {
          usedMem: memoryUsedBytes.last / mebibyte,
          totalMem: promised.memoryBytes / mebibyte,
          averageUtil: (memoryUsedBytes.last / Math.max(1, promised.memoryBytes)) * 100,
        }
      : {},
  };
}

export function toAiosInstance(instance: InstanceMetrics): Document {
  const { id, blockId, nodeId, gpuUtilizationFraction } = instance;
  return {
    ...{ type: 'app', blockId, instanceId: id, nodeId, nodeKey: `${id}__${blockId}` },
    timestamp: seconds(instance.collectedAtMs),
    ...load(instance),
    hardware: {
      ...hardware(instance),
      gpus: instance.gpus.map((index) => ({
        id: index,
        ...(gpuUtilizationFraction ? { utilization: gpuUtilizationFraction.last * 100 } : {}),
      })),
    },
  };
}

/** The block's own numbers stand in for those of AIOS's executor. */
export function toAiosBlock(block: BlockMetrics): Document {
  const executor = {
    ...{ type: 'app', blockId: block.id, instanceId: 'executor', nodeKey: `executor__${block.id}` },
    timestamp: seconds(block.collectedAtMs),
    ...load(block),
  };
  return { blockId: block.id, instances: [executor, ...block.instances.map(toAiosInstance)] };
}

/** `inference_latency_seconds` and `inference_fps` are averages of a minute; AIOS writes the last request's. */
export function toAiosVdag(vdag: VdagMetrics): Document {
  const { latencyMs } = vdag;
  return {
    ...{ type: 'vdag', vdagControllerId: vdag.id, vdagURI: vdag.id },
    timestamp: seconds(vdag.collectedAtMs),
    inference_requests_total: vdag.requestsTotal,
    inference_fps: vdag.requestsPerSecond.averages['1m'],
    ...(latencyMs ? { inference_latency_seconds: seconds(latencyMs.averages['1m']) } : {}),
  };
}

/** The document that AIOS would have of the same thing, with its names and units. */
export function toAios(metrics: AnyMetrics): Document {
  switch (metrics.type) {
    case 'node':
      return toAiosNode(metrics);
    case 'gpu':
      return device(metrics);
    case 'cluster':
      return toAiosCluster(metrics);
    case 'block':
      return toAiosBlock(metrics);
    case 'instance':
      return toAiosInstance(metrics);
    case 'vdag':
      return toAiosVdag(metrics);
  }
}
