import type { NodeMeasurement } from '../../sdk/cluster.ts';
import type { ClusterSpec } from '../../sdk/spec/cluster.ts';
import type { GraphSpec, StageSpec } from '../../sdk/spec/component.ts';

/** What an instance is asked to be. Goes to the process over its standard input, never over its command line. */
export interface InstanceBoot {
  readonly tenant: string;
  readonly instanceId: string;
  readonly blockId: string;
  readonly clusterId: string;
  readonly nodeId: string;
  /** Proves to the instance that a caller comes from its control plane; 32 random bytes, hex. */
  readonly secret: string;
  /** Ends itself when no control plane has attached for so long. */
  readonly orphanTimeoutMs: number;
  readonly gpus: readonly number[];
  readonly threads: number;
  readonly workload:
    | { readonly type: 'stage'; readonly stage: StageSpec }
    | { readonly type: 'graph'; readonly graph: GraphSpec }
    | {
        readonly type: 'code';
        /** File in the instance's folder. */
        readonly file: string;
        readonly entry: string;
        readonly initData: Readonly<Record<string, unknown>>;
        readonly settings: Readonly<Record<string, unknown>>;
        readonly parameters: Readonly<Record<string, unknown>>;
      }
    | { readonly type: 'container'; readonly image: string };
}

/** One file to be placed in the instance's folder before it starts. */
export interface InstanceFile {
  readonly name: string;
  readonly hash: string;
}

export interface InstanceStart {
  readonly boot: InstanceBoot;
  readonly files: readonly InstanceFile[];
}

/** What identifies a process across restarts of the control plane, and how to reach it. Stored in its instance document. */
export interface InstanceProcess {
  readonly pid: number;
  /** Kernel's start time of that pid, as text; a reused pid has another. */
  readonly startTime: string;
  /** `127.0.0.1:port` of its gRPC server. */
  readonly address: string;
  /** Nothing listens at the address: the instance takes its place and answers no calls. */
  readonly simulated?: true;
}

/** An instance that the store says should run, after a restart of the control plane. */
export interface KnownInstance {
  readonly tenant: string;
  readonly instanceId: string;
  readonly clusterId: string;
  readonly nodeId: string;
  /** Absent when the control plane died before it had heard from the process. */
  readonly process?: InstanceProcess;
}

/** Measured, from outside. */
export interface InstanceUsage {
  readonly atMs: number;
  readonly residentBytes: number;
  readonly peakResidentBytes: number;
  readonly cpuSeconds: number;
}

/** Lines of instances' logs that begin so are the platform's. */
export const noteMark = '[aios] ';

export type InstanceEvent =
  | {
      readonly type: 'instance-ready';
      readonly instanceId: string;
      readonly process: InstanceProcess;
    }
  | {
      readonly type: 'instance-exited';
      readonly instanceId: string;
      readonly exitCode: number | null;
      readonly signal: string | null;
      /** Why the backend itself ended it, unasked: `did not listen within 30.0 s`. */
      readonly endedFor?: string;
      /** Last lines of its log. */
      readonly lastLines: readonly string[];
    };

export type WorkloadType = InstanceBoot['workload']['type'];

/**
 * Runs instances on the nodes of clusters. Written once for local processes, Kubernetes and simulation; nothing outside
 * a backend's folder knows which it is.
 */
export interface ClusterBackend {
  /** Matches `ClusterSpec.backend`. */
  readonly name: string;
  /** Workloads that it can run. */
  readonly runs: readonly WorkloadType[];
  /**
   * Capacity is what placement may promise, so a local cluster may declare more than the machine has.
   * @throws {PlacementError} NO_CANDIDATE - the document names a cluster that this backend cannot be
   */
  check(cluster: ClusterSpec): Promise<void>;
  /** Measures each node: what its processes really use. Never blocks for longer than a second. */
  measure(tenant: string, cluster: ClusterSpec): Promise<ReadonlyMap<string, NodeMeasurement>>;
  /** Undefined when its process is gone. */
  usage(instanceId: string): Promise<InstanceUsage | undefined>;
  /** Begins a start; `instance-ready` or `instance-exited` follows. @throws {BlockError} INSTANCE_START_FAILED */
  start(start: InstanceStart): Promise<void>;
  /** Asks politely, then SIGKILL past `graceMs`. Resolves when the process is gone. Unknown ids are fine. */
  stop(instanceId: string, options: { readonly graceMs: number }): Promise<void>;
  /**
   * After a restart: takes back the processes of the given instances, ends every other process this data directory ever
   * started. @returns ids that run again, with how to reach them
   */
  adopt(known: readonly KnownInstance[]): Promise<ReadonlyMap<string, InstanceProcess>>;
  watch(listener: (event: InstanceEvent) => void): () => void;
  /** Lines of the instance's log, oldest first; with `follow`, until aborted. */
  logs(
    instanceId: string,
    options: { readonly tail: number; readonly follow: boolean; readonly signal: AbortSignal },
  ): AsyncIterable<string>;
  /** Adds a line of the platform's to the instance's log, also when it has ended. Never throws. */
  note(instanceId: string, line: string): void;
  /** Ends every instance and frees what the backend holds. */
  close(): Promise<void>;
}
