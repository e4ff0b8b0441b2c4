import type { NodeSnapshot } from '../cluster.ts';
import type { Problem } from '../errors.ts';
import type { LinkMetrics } from '../metrics.ts';
import type { BlockSpec } from '../spec/block.ts';
import type { ClusterSpec } from '../spec/cluster.ts';
import type { ComponentSpec } from '../spec/component.ts';
import type { PolicySpec } from '../spec/policy.ts';
import type { VdagSpec } from '../spec/vdag.ts';
import type { NodeCordon } from './control.ts';

export * from './decision.ts';

/** Kinds a user may create, get, list and delete; also the plural path segments under `/api/`. */
export const resourceKinds = {
  component: 'components',
  block: 'blocks',
  vdag: 'vdags',
  policy: 'policies',
  cluster: 'clusters',
} as const;
export type ResourceKind = keyof typeof resourceKinds;

export interface ResourceSpecs {
  component: ComponentSpec;
  block: BlockSpec;
  vdag: VdagSpec;
  policy: PolicySpec;
  cluster: ClusterSpec;
}

export type InstanceState = 'placing' | 'starting' | 'ready' | 'stopping' | 'failed';

/**
 * What a shard counts. All since its start unless it says otherwise. To a part of a graph that is no language model, a
 * packet is a session with one step, `maxSessions` are places for packets, and all that is of tokens or batches is 0.
 */
export interface ShardCounters {
  readonly openSessions: number;
  readonly maxOpenSessions: number;
  readonly sessionsOpened: number;
  readonly sessionsClosed: number;
  readonly steps: number;
  readonly tokens: number;
  /** Steps whose session differs from the step before it: sessions interleave. */
  readonly sessionSwitches: number;
  readonly framesIn: number;
  readonly framesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Tensor payloads that had to be copied because they arrived unaligned. */
  readonly payloadCopies: number;
  readonly maxQueuedFrames: number;
  /** Now: steps that came and wait for their turn. */
  readonly queuedSteps: number;
  /** Slots for keys and values; `openSessions` of them are taken. */
  readonly maxSessions: number;
  /** Now: positions whose keys and values are held for open sessions. */
  readonly kvTokens: number;
  /** Positions copied from another session that began alike, not computed. */
  readonly sharedTokens: number;
  /** Slots copied: into the place of a session that ended, or to be neighbours. */
  readonly kvMoves: number;
  /** Steps of one row, and the batches they were computed in: their quotient is the mean batch. */
  readonly decodeSteps: number;
  readonly decodeBatches: number;
  readonly maxBatchSteps: number;
  /** Chunks of prompts, computed one at a time. */
  readonly prefillChunks: number;
  readonly prefillTokens: number;
  /** Rows copied out of a batch, to be sent on one by one. */
  readonly outputCopies: number;
  /** A batch counts once. */
  readonly computeMs: number;
  /** Sum over steps, from arrival to departure, without computing. */
  readonly waitMs: number;
  /** Steps in the last batch of one-row steps; 0 before the first. */
  readonly lastBatchSteps: number;
  /** Positions that all slots together can hold. */
  readonly kvCapacityTokens: number;
  /** When the shard counted, by its own clock, Unix milliseconds. */
  readonly countedAtMs: number;
  /** Of `computeMs`, the batches of one-row steps. */
  readonly decodeMs: number;
  /** Weights that each of these batches went through; absent where the plan does not say. */
  readonly weightBytes?: number;
  /** Its streams to other shards and to drivers, as measured by both ends. */
  readonly links?: readonly {
    /** Id of the instance or driver. */
    readonly peerId: string;
    readonly latencyMs: number;
    readonly bytesPerSecond?: number;
  }[];
}

export interface InstanceStatus {
  readonly id: string;
  readonly blockId: string;
  readonly clusterId: string;
  readonly nodeId: string;
  readonly state: InstanceState;
  readonly gpus: readonly number[];
  readonly pid?: number;
  readonly startedAtMs?: number;
  readonly restarts: number;
  /** Promised. */
  readonly memoryBytes: number;
  /** Measured from outside. */
  readonly residentBytes?: number;
  readonly peakResidentBytes?: number;
  /** Resident before the workload was loaded, as the process saw itself. */
  readonly emptyResidentBytes?: number;
  /** `residentBytes` above `emptyResidentBytes`: what the workload itself takes. */
  readonly aboveEmptyBytes?: number;
  readonly outstandingRequests: number;
  readonly counters?: ShardCounters;
  readonly lastError?: string;
}

export interface BlockStatus {
  readonly spec: BlockSpec;
  readonly revision: number;
  readonly state: 'pending' | 'starting' | 'running' | 'degraded' | 'deleting';
  readonly clusterId?: string;
  /** How many it shall have now, between its minInstances and maxInstances. */
  readonly wantedInstances: number;
  readonly instances: readonly InstanceStatus[];
  /** Why it is not running, for people. */
  readonly reason?: string;
  readonly decisionId?: string;
}

/** How a language model answers. What ends in `Total` counts since the control plane began. */
export interface ModelServing {
  /** Now: requests that wait for a place in the shards. */
  readonly waiting: number;
  /** Now: answers under way. */
  readonly openSessions: number;
  /** Answers that all its shards have room for, when the last one began; absent when they did not say. */
  readonly slots?: number;
  /** Answers that came to their end. */
  readonly answersTotal: number;
  /** Requests refused because too many waited, or too long. */
  readonly busyTotal: number;
  readonly promptTokensTotal: number;
  /** Sampled, counted as they come. */
  readonly tokensTotal: number;
  /** Answers that had a first token, and the time to it of all of them, from the request's arrival. */
  readonly firstTokensTotal: number;
  readonly timeToFirstTokenMsTotal: number;
}

export interface VdagStatus {
  readonly spec: VdagSpec;
  readonly revision: number;
  /** Every block it needs has a ready instance. */
  readonly ready: boolean;
  /** Blocks it still waits for. */
  readonly waitingFor: readonly string[];
  /** Of a language model that was asked something. */
  readonly serving?: ModelServing;
}

export interface ClusterStatus {
  readonly spec: ClusterSpec;
  readonly revision: number;
  readonly nodes: readonly NodeSnapshot[];
  /** Absent where no node is cordoned. */
  readonly cordons?: readonly NodeCordon[];
  /** Ways between its nodes and others, as measured; absent while none was. */
  readonly links?: readonly LinkMetrics[];
}

export interface SystemStatus {
  readonly version: string;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly dataDirectory: string;
  readonly clusters: readonly ClusterStatus[];
  readonly blocks: readonly BlockStatus[];
  readonly vdags: readonly VdagStatus[];
}

/** Answer to every create. */
export interface Created<T = unknown> {
  readonly kind: ResourceKind;
  readonly id: string;
  readonly revision: number;
  readonly spec: T;
  /** Accepted, but worth a look: legacy keys, values outside the component's own schema. */
  readonly warnings: readonly Problem[];
}

export interface CreatedPlan {
  /** Name to ask the gateway for. */
  readonly model: string;
  readonly vdagUri: string;
  readonly components: readonly string[];
  readonly blocks: readonly string[];
  /** Blocks that ran the same layers already and serve this model too. Absent: none. */
  readonly sharedBlocks?: readonly string[];
}

/** One event of a streamed inference; the last has `final: true`. */
export interface InferEvent {
  readonly final: boolean;
  readonly data: unknown;
}

/**
 * The control API. Bodies and answers are JSON; errors are RFC 9457 problem details with our code.
 *
 * | call | body → answer |
 * |---|---|
 * | GET /healthz | → {status} |
 * | GET /api/status | → SystemStatus |
 * | POST /api/{kinds} | document in either dialect → Created (201); `?replace=true` replaces |
 * | POST /api/blocks?dryRun=true | document → Decision; nothing is stored |
 * | POST /api/blocks?preview=true | document → PlacementPreview: every possible place; nothing is stored |
 * | GET /api/{kinds} | → status or spec list |
 * | GET, DELETE /api/{kinds}/{id} | → one status or spec |
 * | POST /api/instances/{id}/reassign | {reason?} → {moved}: another is made elsewhere, then this one goes |
 * | POST /api/plans | SplitPlan → CreatedPlan; all or nothing; `?share=false`: no layers of other models |
 * | GET, POST /api/layers, GET, DELETE /api/layers/{hash} | → LayerStatus[]: parts of models that run or are noted |
 * | GET /api/model-folders | → ModelFolder[]: what `aios up --models` allows to be split |
 * | GET, POST /api/split-tasks | → SplitTask[]; SplitTaskRequest → SplitTask (201) |
 * | GET, DELETE /api/split-tasks/{id} | → SplitTask; DELETE cancels it, or forgets one that is over |
 * | GET /api/split-tasks/{id}/logs, …/plan; POST …/retry | → {lines}; SplitPlan; SplitTask |
 * | GET /api/blocks/{id}/explain | → Decision[] newest first |
 * | GET /api/explain ?subject=&kind=&limit= | → Decision[] about `block/ocr`, `instance/…`, `cluster/…`, newest first |
 * | GET /api/decisions ?kind=&outcome=&subject=&limit= | → DecisionSummary[] newest first |
 * | GET /api/decisions/{id}, /api/decisions/{id}/candidates | → Decision; every candidate of it, recomputed |
 * | POST /api/decisions/{id}/replay | ReplayRequest → Replay; stores and reserves nothing |
 * | GET, POST /api/shadows | → ShadowReport[]; {hook, policyRuleURI, parameters?, settings?} → ShadowReport (201) |
 * | DELETE /api/shadows/{hook} | → 204 |
 * | GET, PUT, PATCH /api/network | NetworkSpec, or a patch of it (`null` removes) → NetworkSpec |
 * | POST /api/pre-checks/{action} | the document, or what names the thing → PreCheckVerdict; nothing is done |
 * | POST /api/clusters/{id}/nodes | node → Created cluster (201) |
 * | DELETE /api/clusters/{id}/nodes/{nodeId} | → Created cluster |
 * | POST, DELETE /api/clusters/{id}/nodes/{nodeId}/cordon | {reason?} → NodeCordons: whether it takes new instances |
 * | POST /api/blocks/{id}/scale | {instances} → ScaleStatus |
 * | POST /api/blocks/{id}/autoscale | → Decision: its autoscaler asked now |
 * | POST /api/search | SearchRequest, or AIOS's body → SearchResult |
 * | POST /api/allocate | AllocateRequest → Allocation |
 * | GET /api/instances/{id}/logs, /api/blocks/{id}/logs ?tail=&follow= | → text/event-stream of lines |
 * | GET /api/watch | → text/event-stream of {kind, id, type} |
 * | POST /api/infer/{block or vdag}/{id} | {data, sessionId?, stream?} → {data} or text/event-stream of InferEvent |
 * | GET /api/artifacts; POST /api/artifacts/prune | → ArtifactUsage; ArtifactPruneRequest → ArtifactPruning |
 * | HEAD, PUT /api/artifacts/{hash} | bytes → {hash, sizeBytes} |
 * | POST /api/artifacts/links | {sizeBytes} → {ticket, path}: the client links or copies its file to `path` (loopback only) |
 * | POST /api/artifacts/links/{ticket} | {hash} → {hash, sizeBytes}; the server checks the bytes |
 * | /v1/models, /v1/chat/completions, /v1/completions | OpenAI's shapes and errors |
 */
export const apiPrefix = '/api';
