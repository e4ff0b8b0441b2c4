import {
  type MetricField,
  type MetricName,
  metricFields,
  metricNames,
} from '../../sdk/metric-fields.ts';
import type {
  ClusterMetrics,
  GpuMetrics,
  LinkMetrics,
  LoadMetrics,
  NodeMetrics,
} from '../../sdk/metrics.ts';
import type { MetricsReader } from './create-metrics.ts';
import { createExposition, type Exposition, type Family, type Labels } from './exposition.ts';
import { addAnswers } from './prometheus-answers.ts';
import { addShard } from './prometheus-shards.ts';

/** About 10 MB of text. */
const defaultMaxSamples = 100_000;

/** `memoryFreeBytes` → `memory_free_bytes`; Prometheus calls a fraction a ratio. */
const snake = (name: string): string =>
  name
    .replace(/Fraction$/, 'Ratio')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase();

function familyOf(scope: 'node' | 'cluster', name: MetricName): Family {
  const { counter, help }: MetricField = metricFields[name];
  // A cluster's sum of counters falls when a node leaves it, so it is none.
  const isCounter = counter === true && scope === 'node';
  return {
    name: `aios_${scope}_${snake(name)}${isCounter ? '_total' : ''}`,
    type: isCounter ? 'counter' : 'gauge',
    help,
  };
}

const valueFamilies = (scope: 'node' | 'cluster') =>
  metricNames
    .filter((name) => scope === 'node' || !(metricFields[name] as MetricField).counter)
    .map((name) => ({ name, family: familyOf(scope, name) }));
const clusterFamilies = valueFamilies('cluster');
const nodeFamilies = valueFamilies('node');

const gauge = (name: string, help: string): Family => ({ name, type: 'gauge', help });
const counter = (name: string, help: string): Family => ({ name, type: 'counter', help });

const gpuFamilies: readonly (readonly [keyof GpuMetrics['values'], Family])[] = [
  ['totalMemoryBytes', gauge('aios_gpu_memory_total_bytes', 'Memory of the device.')],
  ['freeMemoryBytes', gauge('aios_gpu_memory_free_bytes', 'Neither promised nor in use.')],
  ['measuredUsedMemoryBytes', gauge('aios_gpu_memory_used_bytes', 'Memory in use, measured.')],
  ['utilizationFraction', gauge('aios_gpu_utilization_ratio', 'How busy it is, 0 to 1.')],
  ['temperatureCelsius', gauge('aios_gpu_temperature_celsius', 'Temperature.')],
  ['powerWatts', gauge('aios_gpu_power_watts', 'Power drawn.')],
];
const collected = (what: string): Family =>
  gauge(`aios_${what}_collected_timestamp_seconds`, 'When the oldest reading in it was taken.');
const nodeCount = gauge('aios_cluster_nodes', 'Nodes that the values come from.');
const linkLatency = gauge('aios_link_latency_seconds', 'One way between two nodes.');
const linkSpeed = gauge('aios_link_bytes_per_second', 'Bandwidth between two nodes.');
const nodesDropped = gauge('aios_cluster_nodes_dropped', 'Nodes left out, by reason.');
const droppedSamples = gauge('aios_metrics_samples_dropped', 'Samples there was no room for.');

function addNode(out: Exposition, node: NodeMetrics, cluster: Labels): void {
  const labels = { ...cluster, node: node.id };
  for (const { name, family } of nodeFamilies) out.add(family, labels, node.values[name]);
  out.add(collected('node'), labels, node.collectedAtMs / 1000);
  for (const gpu of node.gpus) {
    const own = { ...labels, gpu: String(gpu.index) };
    for (const [key, family] of gpuFamilies) out.add(family, own, gpu.values[key]);
  }
}

function addLink(out: Exposition, tenant: string, { between, values }: LinkMetrics): void {
  const labels = { tenant, from: between[0], to: between[1] };
  out.add(linkLatency, labels, values.latencyMs / 1000);
  out.add(linkSpeed, labels, values.bytesPerSecond);
}

function addCluster(out: Exposition, cluster: ClusterMetrics, labels: Labels): void {
  for (const { name, family } of clusterFamilies) out.add(family, labels, cluster.values[name]);
  out.add(nodeCount, labels, cluster.nodes.length);
  for (const reason of ['unhealthy', 'unmeasured', 'stale'] as const) {
    const count = cluster.dropped.filter((one) => one.reason === reason).length;
    out.add(nodesDropped, { ...labels, reason }, count);
  }
}

type Requests = Pick<
  LoadMetrics,
  'requestsTotal' | 'failuresTotal' | 'outstandingRequests' | 'latencyMs'
>;

function addRequests(out: Exposition, of: 'block' | 'vdag', load: Requests, labels: Labels): void {
  const latencyMs = load.latencyMs?.averages['1m'];
  const families: readonly (readonly [Family, number | undefined])[] = [
    [counter(`aios_${of}_requests_total`, 'Requests that came.'), load.requestsTotal],
    [counter(`aios_${of}_request_failures_total`, 'Requests that failed.'), load.failuresTotal],
    [
      gauge(`aios_${of}_outstanding_requests`, 'Requests under way.'),
      load.outstandingRequests.last,
    ],
    [
      gauge(`aios_${of}_request_duration_seconds`, 'Average of a minute, of those that ended.'),
      latencyMs === undefined ? undefined : latencyMs / 1000,
    ],
  ];
  for (const [family, value] of families) out.add(family, labels, value);
}

function addBlock(out: Exposition, reader: MetricsReader, tenant: string, block: string): void {
  const metrics = reader.block(tenant, block);
  if (!metrics) return;
  const labels = { tenant, block };
  addRequests(out, 'block', metrics, labels);
  const values: readonly (readonly [string, string, number | undefined])[] = [
    ['ready_instances', 'Instances that take requests.', metrics.readyInstances.last],
    ['queue_length', 'Requests that wait.', metrics.queueLength.last],
    ['cpu_used_cores', 'Cores in use.', metrics.cpuUsedCores?.last],
    ['memory_used_bytes', 'Resident memory.', metrics.memoryUsedBytes?.last],
    ['gpu_utilization_ratio', 'Mean over its devices.', metrics.gpuUtilizationFraction?.last],
  ];
  for (const [name, help, value] of values)
    out.add(gauge(`aios_block_${name}`, help), labels, value);
  for (const instance of metrics.instances) addShard(out, tenant, instance);
}

/**
 * Everything of one tenant for Prometheus, in base units. What there are few of comes first, so that a network too large
 * for `maxSamples` loses nodes, not clusters and blocks; of instances, which come and go, only shards have series.
 *
 * @param options.maxSamples - default 100000
 */
export function prometheusText(
  reader: MetricsReader,
  tenant: string,
  options: {
    readonly maxSamples?: number;
    /** Of the process, without labels; names end in `_total`. */
    readonly counters?: readonly {
      readonly name: string;
      readonly help: string;
      readonly value: number;
    }[];
  } = {},
): string {
  const out = createExposition(options.maxSamples ?? defaultMaxSamples);
  for (const { name, help, value } of options.counters ?? [])
    out.add(counter(name, help), {}, value);
  const clusters = reader.clusterIds(tenant).flatMap((id) => reader.cluster(tenant, id) ?? []);
  for (const cluster of clusters) addCluster(out, cluster, { tenant, cluster: cluster.id });
  for (const block of reader.blockIds(tenant)) addBlock(out, reader, tenant, block);
  for (const vdag of reader.vdagUris(tenant)) {
    const metrics = reader.vdag(tenant, vdag);
    if (!metrics) continue;
    const labels = { tenant, vdag };
    addRequests(out, 'vdag', metrics, labels);
    addAnswers(out, labels, metrics.serving, reader.answers(tenant, vdag));
  }
  for (const cluster of clusters) {
    for (const node of cluster.nodes) addNode(out, node, { tenant, cluster: cluster.id });
  }
  // One between two clusters stands in the documents of both.
  const links = clusters.flatMap((cluster) => cluster.links ?? []);
  const once = new Map(links.map((link) => [JSON.stringify(link.between), link]));
  for (const link of once.values()) addLink(out, tenant, link);
  const footer = createExposition(1);
  footer.add(droppedSamples, { tenant }, out.dropped);
  return `${out}${footer}`;
}
