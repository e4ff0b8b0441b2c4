import { type MetricField, type MetricName, metricFields } from '../../sdk/metric-fields.ts';
import type { ClusterMetrics, MetricValues, MetricWindow, NodeMetrics } from '../../sdk/metrics.ts';
import { CounterSum } from './counter-sum.ts';
import { History } from './history.ts';
import { gaugeWindow, rateWindow } from './window.ts';

/** What is kept of the past: what changes from one moment to the next. */
const keptNames = [
  'cpuUsedFraction',
  'load1m',
  'memoryUsedBytes',
  'memoryFreeBytes',
  'gpuUtilizationFraction',
  'networkReceivedBytes',
  'networkSentBytes',
] as const satisfies readonly MetricName[];

const counterNames = keptNames.filter((name) => (metricFields[name] as MetricField).counter);

interface ClusterEntry {
  readonly history: History;
  readonly counters: ReadonlyMap<MetricName, CounterSum>;
}

/** More nodes than this have no history. */
const maxNodes = 20_000;

export type Windows = Readonly<Partial<Record<MetricName, MetricWindow>>>;

/** Histories of clusters and their nodes. */
export interface PlaceHistories {
  take(clusters: readonly ClusterMetrics[], atMs: number): void;
  node(tenant: string, clusterId: string, nodeId: string): Windows;
  cluster(tenant: string, clusterId: string): Windows;
  readonly historyBytes: number;
}

function windowsOf(history: History | undefined): Windows {
  if (!history) return {};
  const entries = keptNames.flatMap((name): [MetricName, MetricWindow][] => {
    const { counter }: MetricField = metricFields[name];
    const window = counter ? rateWindow(history, name) : gaugeWindow(history, name);
    return window ? [[name, window]] : [];
  });
  return Object.fromEntries(entries);
}

/** A cluster's counters as growth: the sum of its nodes' falls with every node that drops out. */
function growth(
  { nodes, dropped }: ClusterMetrics,
  counters: ClusterEntry['counters'],
): MetricValues {
  const machine = ({ machineId, id }: NodeMetrics): string => machineId ?? id;
  const known = new Set([...nodes.map(machine), ...dropped.map(({ id }) => id)]);
  const entries = [...counters].map(([name, sum]) => {
    const now = new Map<string, number>();
    for (const node of nodes) {
      const value = node.values[name];
      // Nodes of one machine are read one after the other: the last reading is the furthest.
      const key = machine(node);
      if (value !== undefined) now.set(key, Math.max(value, now.get(key) ?? 0));
    }
    return [name, sum.add(now, known)] as const;
  });
  return Object.fromEntries(entries);
}

export function createPlaceHistories(options: {
  readonly clusterCapacity: number;
  readonly nodeCapacity: number;
  readonly nodeIntervalMs: number;
}): PlaceHistories {
  let clusters = new Map<string, ClusterEntry>();
  let nodes = new Map<string, History>();
  let nodesAtMs = Number.NEGATIVE_INFINITY;

  const clusterKey = (tenant: string, id: string): string => JSON.stringify([tenant, id]);
  const nodeKey = (tenant: string, clusterId: string, id: string): string =>
    JSON.stringify([tenant, clusterId, id]);

  function takeNode(
    next: Map<string, History>,
    { tenant = '', clusterId, id, collectedAtMs, values }: NodeMetrics,
  ): void {
    const key = nodeKey(tenant, clusterId, id);
    const known = nodes.get(key);
    if (!known && next.size >= maxNodes) return;
    const history = known ?? new History(keptNames, options.nodeCapacity);
    history.record(collectedAtMs, values);
    next.set(key, history);
  }

  return {
    take(read, atMs) {
      const nextClusters = new Map<string, ClusterEntry>();
      for (const cluster of read) {
        const key = clusterKey(cluster.tenant ?? '', cluster.id);
        const entry = clusters.get(key) ?? {
          history: new History(keptNames, options.clusterCapacity),
          counters: new Map(counterNames.map((name) => [name, new CounterSum()])),
        };
        entry.history.record(atMs, { ...cluster.values, ...growth(cluster, entry.counters) });
        nextClusters.set(key, entry);
      }
      // Replaced whole, so that what is gone leaves nothing behind.
      clusters = nextClusters;
      if (atMs - nodesAtMs < options.nodeIntervalMs) return;
      nodesAtMs = atMs;
      const nextNodes = new Map<string, History>();
      for (const cluster of read) {
        for (const node of cluster.nodes) takeNode(nextNodes, node);
        // A node that is silent for a while keeps its past.
        for (const { id } of cluster.dropped) {
          const key = nodeKey(cluster.tenant ?? '', cluster.id, id);
          const history = nodes.get(key);
          if (history) nextNodes.set(key, history);
        }
      }
      nodes = nextNodes;
    },
    node: (tenant, clusterId, nodeId) => windowsOf(nodes.get(nodeKey(tenant, clusterId, nodeId))),
    cluster: (tenant, clusterId) => windowsOf(clusters.get(clusterKey(tenant, clusterId))?.history),
    get historyBytes() {
      const ofClusters = [...clusters.values()].map(({ history }) => history);
      return [...ofClusters, ...nodes.values()].reduce(
        (sum, { byteLength }) => sum + byteLength,
        0,
      );
    },
  };
}
