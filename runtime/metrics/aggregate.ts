import {
  type MetricField,
  type MetricName,
  metricFields,
  metricNames,
} from '../../sdk/metric-fields.ts';
import {
  type ClusterMetrics,
  isStale,
  type MetricValues,
  type NodeDropReason,
  type NodeMetrics,
} from '../../sdk/metrics.ts';
import { combiners } from './combine.ts';
import { set } from './node-metrics.ts';

export interface ClusterReadings {
  readonly tenant: string;
  readonly clusterId: string;
  readonly nodes: readonly NodeMetrics[];
  readonly healthyNodes: ReadonlySet<string>;
  readonly nowMs: number;
  readonly staleAfterMs: number;
}

/** Of nodes that share a machine, the one read last speaks for it. */
function onePerMachine(nodes: readonly NodeMetrics[]): readonly NodeMetrics[] {
  const speakers = new Map<string, NodeMetrics>();
  for (const node of nodes) {
    if (node.machineId === undefined) continue;
    const speaker = speakers.get(node.machineId);
    if (!speaker || node.collectedAtMs > speaker.collectedAtMs) speakers.set(node.machineId, node);
  }
  return nodes.filter((node) => !node.machineId || speakers.get(node.machineId) === node);
}

/** One value of a cluster; nothing where no node has it. */
function clusterValue(
  name: MetricName,
  nodes: readonly NodeMetrics[],
  machines: readonly NodeMetrics[],
): number | undefined {
  const { device, perMachine, over }: MetricField = metricFields[name];
  const combined = combiners[over]();
  if (device) {
    for (const { gpus } of nodes) for (const gpu of gpus) combined.add(gpu.values[device]);
  } else {
    for (const node of perMachine ? machines : nodes) combined.add(node.values[name]);
  }
  return combined.value;
}

function clusterValues(nodes: readonly NodeMetrics[]): MetricValues {
  const machines = onePerMachine(nodes);
  const values: Partial<Record<MetricName, number>> = {};
  for (const name of metricNames) set(values, name, clusterValue(name, nodes, machines));
  return values;
}

const byId = (a: { readonly id: string }, b: { readonly id: string }): number =>
  a.id < b.id ? -1 : a.id > b.id ? 1 : 0;

const isSorted = (nodes: readonly NodeMetrics[]): boolean =>
  nodes.every((node, at) => at === 0 || byId(nodes[at - 1] ?? node, node) <= 0);

/**
 * A cluster's document from those of its nodes: each value by its own aggregator, whatever order the nodes come in and
 * whichever of them has devices. Nodes that are unhealthy or have not been measured lately are as if they were not there.
 */
export function aggregateCluster(readings: ClusterReadings): ClusterMetrics {
  const { tenant, clusterId, healthyNodes, nowMs, staleAfterMs } = readings;
  const whyNot = (node: NodeMetrics): NodeDropReason | undefined => {
    if (!healthyNodes.has(node.id)) return 'unhealthy';
    if (node.collectedAtMs === 0) return 'unmeasured';
    return isStale(node, nowMs) ? 'stale' : undefined;
  };
  // In id order, as sums of fractions depend on the order in their last digits.
  const sorted = isSorted(readings.nodes) ? readings.nodes : [...readings.nodes].sort(byId);
  const nodes: NodeMetrics[] = [];
  const dropped: { id: string; reason: NodeDropReason }[] = [];
  const oldest = combiners.min();
  for (const node of sorted) {
    const reason = whyNot(node);
    if (reason) {
      dropped.push({ id: node.id, reason });
      continue;
    }
    nodes.push(node);
    oldest.add(node.collectedAtMs);
  }
  return {
    type: 'cluster',
    id: clusterId,
    tenant,
    // Of the oldest reading in it; 0 where there is none.
    collectedAtMs: oldest.value ?? 0,
    staleAfterMs,
    values: clusterValues(nodes),
    nodes,
    dropped,
  };
}
