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

/** What the processes on a node really use, beside what they were promised. */
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
