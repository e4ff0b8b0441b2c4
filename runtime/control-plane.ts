import type {
  BlockStatus,
  Created,
  CreatedPlan,
  Decision,
  PlacementPreview,
  ResourceKind,
  SystemStatus,
} from '../sdk/client/api.ts';
import type { AnyPolicy } from '../sdk/policy.ts';
import type { VdagSpec } from '../sdk/spec/vdag.ts';
import type { ArtifactUpkeep } from './artifact/index.ts';
import type { ControlServices } from './control-services.ts';
import type { DecisionServices, Retention } from './decision/index.ts';
import type { Layers } from './layer/index.ts';
import type { Metrics } from './metrics/index.ts';
import type { PolicyExecutor } from './policy/host.ts';
import type { SplitService } from './split-task/index.ts';
import type { Tracer } from './tracing/index.ts';

/** One running instance, chosen by the block's load balancer for one session or request. */
export interface RoutedInstance {
  readonly instanceId: string;
  readonly blockId: string;
  readonly clusterId: string;
  readonly nodeId: string;
  readonly address: string;
  readonly secret: string;
  /** Aborts when the instance is to end: sessions that can move elsewhere do, between two tokens. */
  readonly leaving?: AbortSignal;
  /** Its answer depends on the packet alone and it does nothing else: a packet may be sent again. @default false */
  readonly repeatable?: boolean;
  /** Call once when the session or request ends, however it ends. What is not said to have failed went well. */
  release(outcome?: { readonly ok: boolean }): void;
}

/** How the driver, the graph runner and the gateway find instances. */
export interface InstanceDirectory {
  /**
   * Runs the block's loadBalancer policy over its ready instances; waits up to `waitMs` for one to be ready.
   * @throws {AiosError} NOT_FOUND - no such block; SHARD_UNAVAILABLE - none is ready in time
   */
  pick(request: {
    readonly tenant: string;
    readonly blockId: string;
    readonly sessionId: string;
    readonly waitMs: number;
    readonly signal: AbortSignal;
    /** Instances to leave out as long as others are ready. */
    readonly avoid?: ReadonlySet<string>;
  }): Promise<RoutedInstance>;
  /**
   * The instances that could be picked now, by id, and how many more sessions each holds; infinite where it does not say.
   * Without it nobody is known to stand in for another.
   */
  free?(tenant: string, blockId: string): ReadonlyMap<string, number>;
  /**
   * Sessions that a block's ready instances hold together; undefined: none is ready, or they do not say. Without it only the
   * shards themselves say when they are full.
   */
  slots?(tenant: string, blockId: string): number | undefined;
  /** A caller saw this instance fail: it is checked at once. */
  report(instanceId: string, error: unknown): void;
}

/** Bytes under their content hash, in the data directory. */
export interface ArtifactStore {
  has(hash: string): Promise<boolean>;
  /** Absolute path of the blob. @throws {AiosError} NOT_FOUND, ARTIFACT_CORRUPT */
  path(hash: string): Promise<string>;
  /** @throws {AiosError} ARTIFACT_CORRUPT - the bytes have another hash */
  write(
    hash: string,
    bytes: AsyncIterable<Uint8Array>,
  ): Promise<{ hash: string; sizeBytes: number }>;
  /** A one-time place inside the data directory where a client on this machine links or copies a file. */
  openLink(sizeBytes: number): Promise<{ ticket: string; path: string }>;
  commitLink(ticket: string, hash: string): Promise<{ hash: string; sizeBytes: number }>;
}

export interface ControlPlaneOptions {
  /** Absolute. Created when missing (mode 0700). */
  readonly dataDirectory: string;
  /** Every hook's default policy must be among them. */
  readonly policies: readonly AnyPolicy[];
  /** How long instances wait for a control plane before they end themselves. @default 30000 */
  readonly orphanTimeoutMs?: number;
  /** How many decisions are kept. */
  readonly decisions?: Retention;
  /** Services that evaluate policies of execution `remote`; documents know them by id alone. @default none */
  readonly policyExecutors?: readonly PolicyExecutor[];
  /** Absolute paths of folders whose models may be split by tasks. @default none */
  readonly modelFolders?: readonly string[];
  /** Takes over the spans of traced sessions that shards report. @default nothing is traced */
  readonly tracer?: Tracer | undefined;
  /** One line of the control plane's log. */
  readonly log?: (line: string) => void;
}

/** Everything the gateway calls. Documents are raw, in either dialect. */
export interface ControlPlane {
  readonly directory: InstanceDirectory;
  readonly artifacts: ArtifactStore;
  /** Absent where nothing is ever removed. */
  readonly upkeep?: ArtifactUpkeep;
  /** Absent where nothing is measured. */
  readonly metrics?: Metrics;
  /** Absent where policies decide nothing but places. */
  readonly control?: ControlServices;
  /** Absent where none are kept. */
  readonly decisions?: DecisionServices;
  /** Absent where nobody asks which parts of models run. */
  readonly layers?: Layers;
  /** Absent where it splits no models. */
  readonly splits?: SplitService;
  status(tenant: string): Promise<SystemStatus>;
  /** @throws {SpecError} SPEC_INVALID with every problem; ALREADY_EXISTS */
  create(
    tenant: string,
    kind: ResourceKind,
    document: unknown,
    options?: { readonly replace?: boolean },
  ): Promise<Created>;
  /** Validates, runs every policy, explains; stores nothing but the decision. */
  dryRunBlock(tenant: string, document: unknown): Promise<Decision>;
  /** The same, with every place that one instance could have, and what it would leave free there. */
  previewBlock(tenant: string, document: unknown): Promise<PlacementPreview>;
  /** Has an instance elsewhere: the new one first, then the old one goes. @returns false: it stays where it is */
  reassign(tenant: string, instanceId: string, reason: string): Promise<boolean>;
  /** @param options - `share: false`: no block of another model serves this one too */
  createPlan(
    tenant: string,
    plan: unknown,
    options?: { readonly share?: boolean },
  ): Promise<CreatedPlan>;
  list(tenant: string, kind: ResourceKind): Promise<readonly unknown[]>;
  get(tenant: string, kind: ResourceKind, id: string): Promise<unknown>;
  /** @throws {AiosError} NOT_FOUND; IN_USE - something refers to it (details: by) */
  delete(tenant: string, kind: ResourceKind, id: string): Promise<void>;
  explain(tenant: string, blockId: string): Promise<readonly Decision[]>;
  /** A vDAG by URI, or by bare name while it is unique. */
  resolveVdag(tenant: string, name: string): Promise<VdagSpec>;
  /** vDAGs with a `generation` section. */
  models(
    tenant: string,
  ): Promise<
    readonly { readonly id: string; readonly vdag: VdagSpec; readonly createdAtMs: number }[]
  >;
  blockStatus(tenant: string, blockId: string): Promise<BlockStatus>;
  /** Lines of one instance or of all of a block's, each prefixed with its instance when there are several. */
  logs(
    tenant: string,
    target: { readonly instanceId: string } | { readonly blockId: string },
    options: { readonly tail: number; readonly follow: boolean; readonly signal: AbortSignal },
  ): AsyncIterable<string>;
  watch(
    tenant: string,
    listener: (change: {
      readonly kind: string;
      readonly id: string;
      readonly type: 'put' | 'delete';
    }) => void,
  ): () => void;
  /** Ends every instance, then the store. Safe to call twice. */
  close(): Promise<void>;
}
