import type { BlockStatus } from '../../sdk/client/api.ts';
import type { ClusterBackend } from '../cluster/backend.ts';
import type { InstanceDirectory } from '../control-plane.ts';
import type { DecisionLog } from '../decision/index.ts';
import type { BlockReading, Inventory, RequestRecorder } from '../metrics/index.ts';
import type { Placement } from '../placement/placement.ts';
import type { PolicyHost } from '../policy/host.ts';
import type { Documents } from '../registry/index.ts';
import type { Store } from '../store/index.ts';
import type { OnFailure } from './heal-order.ts';
import type { SpanListener } from './instance.ts';
import type { WatchedBlock } from './watched-block.ts';

export interface BlockManagerOptions {
  readonly store: Store;
  readonly documents: Documents;
  readonly placement: Placement;
  readonly inventory: Inventory;
  readonly policies: PolicyHost;
  readonly decisions: DecisionLog;
  /** By `ClusterSpec.backend`. */
  readonly backends: ReadonlyMap<string, ClusterBackend>;
  /** Runs a task alone among everything that changes what is declared. */
  readonly exclusive: <T>(task: () => Promise<T>) => Promise<T>;
  readonly orphanTimeoutMs: number;
  /** Told of every request. */
  readonly requests?: RequestRecorder;
  /** Told of traced sessions that instances report. */
  readonly onSpans?: SpanListener | undefined;
  /** Asked when instances of a block fail. */
  readonly onFailure?: OnFailure;
  readonly log: (line: string) => void;
}

/** All blocks: one reconciler each, woken by documents, processes and capacity. */
export interface BlockManager {
  readonly directory: InstanceDirectory;
  readonly decisions: DecisionLog;
  /** @throws {AiosError} NOT_FOUND */
  status(tenant: string, blockId: string): Promise<BlockStatus>;
  /** In id order. */
  statuses(tenant: string): Promise<readonly BlockStatus[]>;
  /** Of all tenants, for metrics. */
  readings(): Promise<readonly BlockReading[]>;
  isReady(tenant: string, blockId: string): boolean;
  /** As last declared; none of a block that is not there. */
  tagsOf(tenant: string, blockId: string): readonly string[];
  /** As policies see it, with its policies; undefined where it is not declared, or not yet looked at. */
  watched(tenant: string, blockId: string): WatchedBlock | undefined;
  /** Of all tenants. */
  allWatched(): readonly WatchedBlock[];
  /** Ends an instance as if it had failed; another takes its place. @returns whether it was there */
  restartInstance(tenant: string, instanceId: string, reason: string): boolean;
  /** Whether the instance is, or was not long ago, one of this tenant's blocks. */
  hadInstance(tenant: string, instanceId: string): boolean;
  /** Of an instance that is gone: the one that keeps logs of such. */
  backendOfInstance(instanceId: string): ClusterBackend;
  /** Resolves when a block whose deletion is stored is gone, with all its processes. */
  whenGone(tenant: string, blockId: string): Promise<void>;
  /** Has an instance elsewhere: the new one first. @returns whether another has taken its place */
  reassign(tenant: string, instanceId: string, reason: string): Promise<boolean>;
  /** Blocks that wait try again where what they went by has changed. @param cause - default `policies`: all of them */
  retryPending(cause?: 'room' | 'policies'): void;
  /** @default 0 for a block that is not there */
  priorityOf(tenant: string, blockId: string): number;
  /** Unix milliseconds. @default 0 for one that is not there */
  startedAtMs(tenant: string, instanceId: string): number;
  onChange(listener: (tenant: string, blockId: string) => void): () => void;
  /** Ends every instance. Blocks stay declared. */
  close(): Promise<void>;
}
