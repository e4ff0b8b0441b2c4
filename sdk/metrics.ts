import type { ModelServing, ShardCounters } from './client/api.ts';
import type { MetricName } from './metric-fields.ts';

/** What every metric document says of itself, whatever it is about. */
export interface MetricEnvelope<Kind extends string> {
  readonly type: Kind;
  readonly id: string;
  /** Absent where there is only one. */
  readonly tenant?: string;
  /** When the oldest reading in it was taken, Unix milliseconds. */
  readonly collectedAtMs: number;
  /** Past `collectedAtMs + staleAfterMs` it says nothing about the present. */
  readonly staleAfterMs: number;
}

/** How far back an average looks. */
export type WindowName = '1m' | '5m' | '15m';
export const windowMs: Readonly<Record<WindowName, number>> = {
  '1m': 60e3,
  '5m': 300e3,
  '15m': 900e3,
};

/**
 * One number over time. Plain data, so a decision that read it can be replayed. Windows end at `atMs`, the last reading,
 * and cover what is known of them: one reading is its own average.
 */
export interface MetricWindow {
  readonly last: number;
  /** Of the last reading, Unix milliseconds. */
  readonly atMs: number;
  readonly averages: Readonly<Record<WindowName, number>>;
  /** Largest reading of the last 15 minutes. */
  readonly max: number;
  /** Least-squares slope over the last 5 minutes, per second; 0 with fewer than two readings. */
  readonly trendPerSecond: number;
  /** Readings of the last 15 minutes. */
  readonly samples: number;
  /** From the oldest of them to the last. */
  readonly coveredMs: number;
}

/** By name; what nobody measured is left out. Units are in the names, see `metricFields`. */
export type MetricValues = Readonly<Partial<Record<MetricName, number>>>;

/** One device. */
export interface GpuMetrics extends MetricEnvelope<'gpu'> {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly index: number;
  readonly modelName: string;
  readonly values: {
    readonly totalMemoryBytes: number;
    /** Neither promised to an instance nor measured as used. */
    readonly freeMemoryBytes: number;
    /** `totalMemoryBytes − freeMemoryBytes`. */
    readonly usedMemoryBytes: number;
    readonly usedMemoryFraction: number;
    /** What the driver says that all processes use. */
    readonly measuredUsedMemoryBytes?: number;
    readonly utilizationFraction?: number;
    readonly temperatureCelsius?: number;
    readonly powerWatts?: number;
  };
}

export interface NodeMetrics extends MetricEnvelope<'node'> {
  readonly clusterId: string;
  /** Nodes that share a machine have the same; its disks and network are counted once. */
  readonly machineId?: string;
  readonly values: MetricValues;
  readonly gpus: readonly GpuMetrics[];
  readonly windows?: Readonly<Partial<Record<MetricName, MetricWindow>>>;
}

/** Why a node is not in its cluster's numbers. */
export type NodeDropReason = 'unhealthy' | 'unmeasured' | 'stale';

/** The way between two nodes, or from drivers to a node, as measured beside real frames; alike in both directions. */
export interface LinkMetrics {
  /** `clusterId/nodeId`, or `drivers`; in order. */
  readonly between: readonly [string, string];
  readonly values: { readonly latencyMs: number; readonly bytesPerSecond?: number };
}

export interface ClusterMetrics extends MetricEnvelope<'cluster'> {
  readonly values: MetricValues;
  /** Those with an end in the cluster; absent while none was measured. */
  readonly links?: readonly LinkMetrics[];
  /** Those that the values come from, in id order; each has its devices. */
  readonly nodes: readonly NodeMetrics[];
  readonly dropped: readonly { readonly id: string; readonly reason: NodeDropReason }[];
  readonly windows?: Readonly<Partial<Record<MetricName, MetricWindow>>>;
}

/** What is measured alike of a block and of one of its instances. */
export interface LoadMetrics {
  /** Requests sent to an instance since the control plane began. Falls when it restarts. */
  readonly requestsTotal: number;
  readonly failuresTotal: number;
  /** Requests or sessions under way. */
  readonly outstandingRequests: MetricWindow;
  /**
   * Requests that wait: for an instance to be ready, or behind the one that their instance works on. An instance that
   * answers several at once still counts one as being worked on.
   */
  readonly queueLength: MetricWindow;
  /** Requests that came. */
  readonly requestsPerSecond: MetricWindow;
  readonly failuresPerSecond: MetricWindow;
  /**
   * From being sent to an instance to the end of the answer, averaged over the requests that ended. A window in which
   * none ended takes the next longer one's average. Absent until one has ended.
   */
  readonly latencyMs?: MetricWindow;
  readonly cpuUsedCores?: MetricWindow;
  /** Cores used ÷ cores promised; may pass 1. Of a block: the sum of one ÷ the sum of the other. */
  readonly cpuFraction?: MetricWindow;
  /** Resident. */
  readonly memoryUsedBytes?: MetricWindow;
  /** Mean over the devices that are promised; each device's own reading, whoever keeps it busy. */
  readonly gpuUtilizationFraction?: MetricWindow;
}

export interface InstanceMetrics extends MetricEnvelope<'instance'>, LoadMetrics {
  readonly blockId: string;
  readonly clusterId: string;
  readonly nodeId: string;
  readonly ready: boolean;
  readonly promised: { readonly memoryBytes: number; readonly cpuCores: number };
  readonly gpus: readonly number[];
  /** Of a shard of a model: what it holds now, and what it did since its start. */
  readonly shard?: ShardCounters;
}

/** Counts and amounts are summed over instances, averages weighted by what they are averages of. */
export interface BlockMetrics extends MetricEnvelope<'block'>, LoadMetrics {
  readonly clusterId?: string;
  /** Those that can be sent requests. */
  readonly readyInstances: MetricWindow;
  /** In id order. */
  readonly instances: readonly InstanceMetrics[];
}

export interface VdagMetrics extends MetricEnvelope<'vdag'> {
  readonly requestsTotal: number;
  readonly failuresTotal: number;
  readonly outstandingRequests: MetricWindow;
  readonly requestsPerSecond: MetricWindow;
  readonly failuresPerSecond: MetricWindow;
  readonly latencyMs?: MetricWindow;
  /** Of a language model that was asked something. */
  readonly serving?: ModelServing;
}

export type AnyMetrics =
  | NodeMetrics
  | GpuMetrics
  | ClusterMetrics
  | BlockMetrics
  | InstanceMetrics
  | VdagMetrics;

export const isStale = (
  { collectedAtMs, staleAfterMs }: MetricEnvelope<string>,
  nowMs: number,
): boolean => nowMs - collectedAtMs > staleAfterMs;
