/** What a node, a plan or an instance amounts to. GPU memory is per device, in device order. */
export interface Amounts {
  readonly memoryBytes: number;
  readonly cpuCores: number;
  readonly gpus: readonly GpuAmount[];
}

export interface GpuAmount {
  readonly index: number;
  readonly memoryBytes: number;
}

/** One device as policies see it. */
export interface GpuSnapshot {
  readonly index: number;
  readonly modelName: string;
  readonly totalMemoryBytes: number;
  /** Neither promised to an instance nor measured as used by others. */
  readonly freeMemoryBytes: number;
  /** Measured, 0 to 1; 0 where nothing measures it. */
  readonly utilizationFraction: number;
  readonly temperatureCelsius?: number;
  readonly powerWatts?: number;
  /** Instances that hold a share of it. */
  readonly sharedBy: number;
  /** Held by an instance that shares it with nobody. */
  readonly exclusive: boolean;
}

/** One device as its driver reports it; what it does not report is left out. */
export interface GpuMeasurement {
  /** On the machine. */
  readonly index: number;
  readonly modelName: string;
  readonly totalMemoryBytes: number;
  /** By all processes of the machine, ours and others'. */
  readonly usedMemoryBytes: number;
  /** Some drivers keep a part that is neither used nor free. */
  readonly freeMemoryBytes: number;
  readonly utilizationFraction?: number;
  readonly temperatureCelsius?: number;
  readonly powerWatts?: number;
}

/**
 * The whole machine that a node is, or that it shares with other nodes. Totals count from the machine's start; rates are
 * differences to the reading before, and absent at the first.
 */
export interface MachineMeasurement {
  readonly cpuCores: number;
  /** Of all cores, by everything that runs, 0 to 1. */
  readonly cpuUsedFraction?: number;
  readonly memoryTotalBytes: number;
  /** What a new process could get without swapping. */
  readonly memoryFreeBytes: number;
  readonly swapFreeBytes?: number;
  readonly swapUsedBytes?: number;
  readonly diskReadBytes?: number;
  readonly diskWrittenBytes?: number;
  readonly diskReadBytesPerSecond?: number;
  readonly diskWrittenBytesPerSecond?: number;
  readonly networkReceivedBytesPerSecond?: number;
  readonly networkSentBytesPerSecond?: number;
}

/**
 * What a node really uses, beside what its instances were promised. Where several nodes share a machine (a local cluster),
 * memory, cores and processes are those of the node's own instances; loads, storage, network, `machine` and `gpus` are the
 * machine's, the same for each of its nodes.
 */
export interface NodeMeasurement {
  /** Unix milliseconds. */
  readonly atMs: number;
  readonly memoryUsedBytes: number;
  readonly cpuUsedCores: number;
  /** Load averages of the machine, in runnable processes. */
  readonly load1m: number;
  readonly load5m: number;
  readonly load15m: number;
  readonly processes: number;
  readonly storageFreeBytes?: number;
  readonly storageUsedBytes?: number;
  readonly networkReceivedBytes?: number;
  readonly networkSentBytes?: number;
  /** Nodes with the same one share a machine: what is the machine's is counted once. */
  readonly machineId?: string;
  readonly machine?: MachineMeasurement;
  /** Weights that decoding goes through a second, one thread a shard; absent until somebody measured it. */
  readonly weightBytesPerSecond?: number;
  /** Who did: shards that decode, on the node or on its machine; a probe while the machine was idle; or its document. */
  readonly speedFrom?: 'shards' | 'probe' | 'document';
  /** Absent where nothing measures devices. A node's device `index` is the machine's. */
  readonly gpus?: readonly GpuMeasurement[];
}

/** Keeps what does not tolerate it away from a node. */
export interface Taint {
  readonly key: string;
  readonly value: string;
  readonly effect: 'no-schedule' | 'prefer-no-schedule';
}

/** One node as policies see it: declared capacity, what is promised, what is measured. */
export interface NodeSnapshot {
  readonly id: string;
  readonly healthy: boolean;
  readonly capacity: Amounts;
  /** capacity − promised; what placement may still promise. */
  readonly free: Amounts;
  readonly gpus: readonly GpuSnapshot[];
  readonly instances: number;
  /** Absent until the first measurement. */
  readonly measured?: NodeMeasurement;
  readonly taints?: readonly Taint[];
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** One cluster as policies see it. */
export interface ClusterSnapshot {
  readonly id: string;
  readonly regionId: string;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly reputation?: number;
  readonly status?: string;
  readonly nodes: readonly NodeSnapshot[];
}
