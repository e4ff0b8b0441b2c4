import { z } from 'zod';
import type { ClusterSnapshot, NodeSnapshot } from './cluster.ts';
import type { Json } from './packet.ts';
import type { ResourceAmounts } from './spec/common.ts';

/** A block as policies see it. */
export interface BlockView {
  readonly id: string;
  readonly componentUri: string;
  readonly tenant: string;
  readonly minInstances: number;
  readonly maxInstances: number;
  /** Of one instance. */
  readonly resources: ResourceAmounts;
  readonly tags: readonly string[];
  /** Cluster and node of each instance that runs or is being placed. */
  readonly instances: readonly {
    readonly id: string;
    readonly clusterId: string;
    readonly nodeId: string;
  }[];
}

const assignment = z.strictObject({
  nodeId: z.string(),
  gpus: z.array(z.number().int().nonnegative()).default([]),
});
/** One instance's place: a node and its devices. */
export type Assignment = z.output<typeof assignment>;

const selectionOutput = z.strictObject({
  /** Ids, best first. An empty list refuses all. */
  clusters: z.array(z.string()),
  /** Why the others were left out. */
  refused: z.array(z.strictObject({ clusterId: z.string(), reason: z.string() })).default([]),
});
const postDryRunOutput = z.strictObject({ clusterId: z.string(), reason: z.string().optional() });
const dryRunOutput = z.strictObject({
  /** 0 (barely) to 1 (ideal). */
  score: z.number().min(0).max(1),
  /** One for each instance asked for; empty when the cluster cannot hold them all. */
  assignments: z.array(assignment),
  /** Each node's score, or the reason it was refused. Shown by `aios explain`. */
  nodes: z
    .array(
      z.strictObject({
        nodeId: z.string(),
        score: z.number().optional(),
        refusedBy: z.string().optional(),
        seen: z.string().optional(),
      }),
    )
    .default([]),
});
const allocationOutput = z.union([
  z.strictObject({ accept: z.literal(true), assignments: z.array(assignment).optional() }),
  z.strictObject({ accept: z.literal(false), reason: z.string() }),
]);
const loadBalancerOutput = z.strictObject({ instanceId: z.string() });
const splitPlannerOutput = z.union([
  z.strictObject({
    /** Index of each shard's first layer, ascending from 0; `[0]` means «do not split». */
    firstLayers: z.array(z.number().int().nonnegative()).min(1),
    reason: z.string().optional(),
  }),
  z.strictObject({ infeasible: z.string() }),
]);

export interface PlanCandidate {
  readonly clusterId: string;
  readonly score: number;
  readonly assignments: readonly Assignment[];
}

export interface LayerAmounts {
  /** Weights once loaded. */
  readonly residentBytes: number;
  /** KV cache of this layer for all sessions at full context. */
  readonly kvBytes: number;
}

/** Each hook's input, by action. Hooks without actions have one action named after what is asked. */
export interface HookInputs {
  clusterAllocator: {
    selection: {
      readonly action: 'selection';
      readonly block: BlockView;
      readonly clusters: readonly ClusterSnapshot[];
    };
    post_dry_run: {
      readonly action: 'post_dry_run';
      readonly block: BlockView;
      readonly candidates: readonly PlanCandidate[];
    };
  };
  resourceAllocator: {
    dry_run: {
      readonly action: 'dry_run';
      readonly block: BlockView;
      /** Instances to place now, all or none. */
      readonly instances: number;
      readonly cluster: ClusterSnapshot;
      /** Nodes that are healthy and large enough for at least one instance. */
      readonly nodes: readonly NodeSnapshot[];
    };
    allocation: {
      readonly action: 'allocation';
      readonly block: BlockView;
      readonly instances: number;
      readonly cluster: ClusterSnapshot;
      readonly nodes: readonly NodeSnapshot[];
      /** The reserved plan to accept or refuse; absent for a caller that skipped the dry run. */
      readonly plan?: PlanCandidate;
    };
  };
  loadBalancer: {
    load_balance: {
      readonly action: 'load_balance';
      readonly blockId: string;
      readonly sessionId: string;
      /** Running instances, with requests in flight. */
      readonly instances: readonly { readonly id: string; readonly outstandingRequests: number }[];
    };
  };
  splitPlanner: {
    plan: {
      readonly action: 'plan';
      readonly model: {
        readonly name: string;
        readonly layers: readonly LayerAmounts[];
        readonly embeddingBytes: number;
        readonly headBytes: number;
        /** Working memory of one shard's process beside weights and KV cache. */
        readonly overheadBytes: number;
      };
      /** Asked for by the user; absent: as few as fit. */
      readonly shards?: number;
      /** Where shards may run, any order. */
      readonly nodes: readonly {
        readonly clusterId: string;
        readonly nodeId: string;
        readonly freeMemoryBytes: number;
        readonly cpuCores: number;
      }[];
    };
  };
}

const outputs = {
  clusterAllocator: { selection: selectionOutput, post_dry_run: postDryRunOutput },
  resourceAllocator: { dry_run: dryRunOutput, allocation: allocationOutput },
  loadBalancer: { load_balance: loadBalancerOutput },
  splitPlanner: { plan: splitPlannerOutput },
} as const;

export type HookName = keyof HookInputs;
export type HookAction<H extends HookName> = keyof HookInputs[H] & string;
/** What a policy of hook `H` is called with; `action` discriminates. */
export type HookInput<
  H extends HookName,
  A extends HookAction<H> = HookAction<H>,
> = HookInputs[H][A];

type OutputSchemas = typeof outputs;
type SchemaOf<H extends HookName, A> = A extends keyof OutputSchemas[H]
  ? OutputSchemas[H][A]
  : never;
/** What the platform gets back, defaults filled in. */
export type HookOutput<H extends HookName, A extends HookAction<H> = HookAction<H>> =
  SchemaOf<H, A> extends z.ZodType ? z.output<SchemaOf<H, A>> : never;
/** What a policy may return. */
export type HookAnswer<H extends HookName, A extends HookAction<H> = HookAction<H>> =
  SchemaOf<H, A> extends z.ZodType ? z.input<SchemaOf<H, A>> : never;

/**
 * What happens to the caller when a policy throws, times out, answers in the wrong shape, goes past a limit, or has too
 * many evaluations waiting. In every case the evaluation is recorded with its error.
 *
 * - `fail-with-reason`: the caller fails with the policy's error. A placement writes it into the decision as the reason why
 *   the cluster was refused, asks the other clusters, and tries the block again later.
 * - `least-queued`: the request goes to the instance with the fewest in flight.
 * - `deny`, `allow`: what was asked for is refused (admission, quota) or goes on (health).
 * - `hold`: everything stays as it is (autoscaler).
 */
export type OnError = 'fail-with-reason' | 'deny' | 'allow' | 'least-queued' | 'hold';

export interface HookDefinition {
  readonly defaultPolicy: string;
  /** For one evaluation. */
  readonly timeLimitMs: number;
  readonly onError: OnError;
  /** One sentence: when it is called and what it decides. */
  readonly description: string;
}

/** The hook table. Whoever composes the system must supply each default policy. */
export const hooks: {
  readonly [H in HookName]: HookDefinition & { readonly outputs: OutputSchemas[H] };
} = {
  clusterAllocator: {
    defaultPolicy: 'best-score:1.0.0-stable',
    timeLimitMs: 1000,
    onError: 'fail-with-reason',
    description:
      'Chooses clusters for a block before the dry runs, and one of the plans after them.',
    outputs: outputs.clusterAllocator,
  },
  resourceAllocator: {
    defaultPolicy: 'bin-pack:1.0.0-stable',
    timeLimitMs: 1000,
    onError: 'fail-with-reason',
    description: 'Scores one cluster for a block and names the node and devices of each instance.',
    outputs: outputs.resourceAllocator,
  },
  loadBalancer: {
    defaultPolicy: 'least-outstanding:1.0.0-stable',
    timeLimitMs: 50,
    onError: 'least-queued',
    description: 'Chooses the instance of a block that serves a request or a session.',
    outputs: outputs.loadBalancer,
  },
  splitPlanner: {
    defaultPolicy: 'memory-aware:1.0.0-stable',
    timeLimitMs: 5000,
    onError: 'fail-with-reason',
    description: 'Cuts a model into shards that fit the nodes.',
    outputs: outputs.splitPlanner,
  },
};

export const hookNames = Object.keys(hooks) as HookName[];

/** Anything a policy may keep between evaluations. */
export type PolicyState = { readonly [key: string]: Json };
