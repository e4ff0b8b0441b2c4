import { z } from 'zod';
import type { Amounts, ClusterSnapshot, NodeSnapshot } from '../cluster.ts';
import type { BlockMetrics } from '../metrics.ts';
import type { Json } from '../packet.ts';
import type { HookDefinition } from './definition.ts';
import { assignment, type BlockView, json, type PlanCandidate } from './views.ts';

/** What every question about places on one cluster holds. */
interface Places {
  readonly block: BlockView;
  /** Instances to place now, all or none. */
  readonly instances: number;
  readonly cluster: ClusterSnapshot;
  /** Nodes that are healthy, allowed by the block's rules, and large enough for at least one instance. */
  readonly nodes: readonly NodeSnapshot[];
  /** Node id → −1 to 1, from the block's preferred affinities; absent where it has none. */
  readonly nodePreferences?: Readonly<Record<string, number>>;
}

/** An instance that could make room. */
export interface Victim {
  readonly instanceId: string;
  readonly blockId: string;
  readonly priority: number;
  readonly startedAtMs: number;
  readonly amounts: Amounts;
}

export interface PlacementInputs {
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
    dry_run: Places & { readonly action: 'dry_run' };
    allocation: Places & {
      readonly action: 'allocation';
      /** The reserved plan to accept or refuse; absent for a caller that skipped the dry run. */
      readonly plan?: PlanCandidate;
    };
    /** As `dry_run`, for a block that runs already. */
    scale: Places & { readonly action: 'scale'; readonly metrics?: BlockMetrics };
    /** A new place for one instance whose place failed. The old one goes after the new one stands. */
    reassignment: Places & {
      readonly action: 'reassignment';
      readonly instanceId: string;
      readonly reason: string;
      readonly metrics?: BlockMetrics;
    };
    third_party_allocate: Places & { readonly action: 'third_party_allocate' };
  };
  adhocAllocator: {
    allocate: {
      readonly action: 'allocate';
      readonly clusters: readonly ClusterSnapshot[];
      readonly inputs: Json;
    };
  };
  preemption: {
    preempt: {
      readonly action: 'preempt';
      readonly block: BlockView;
      readonly instances: number;
      /** Sets of victims that would make room, one a candidate node or group of nodes; all have a lower priority. */
      readonly options: readonly {
        readonly clusterId: string;
        readonly nodeIds: readonly string[];
        readonly victims: readonly Victim[];
      }[];
    };
  };
  resourceEstimator: {
    estimate: {
      readonly action: 'estimate';
      readonly policyUri: string;
      readonly kind: 'deployment' | 'job';
      readonly nodes: readonly NodeSnapshot[];
    };
  };
}

const dryRunFields = {
  /** 0 (barely) to 1 (ideal). */
  score: z.number().min(0).max(1),
  /** One for each instance asked for; empty when the cluster cannot hold them all. */
  assignments: z.array(assignment),
  /**
   * Short for a row a node: the score of each node of the question, in its order. Nodes that have a row in `nodes` are told
   * by that.
   */
  scores: z.array(z.number()).optional(),
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
};

export const placementOutputs = {
  clusterAllocator: {
    selection: z.strictObject({
      /** Ids, best first. An empty list refuses all. */
      clusters: z.array(z.string()),
      /** Why the others were left out. */
      refused: z.array(z.strictObject({ clusterId: z.string(), reason: z.string() })).default([]),
    }),
    post_dry_run: z.strictObject({ clusterId: z.string(), reason: z.string().optional() }),
  },
  resourceAllocator: {
    dry_run: z.strictObject(dryRunFields),
    allocation: z.union([
      z.strictObject({ accept: z.literal(true), assignments: z.array(assignment).optional() }),
      z.strictObject({ accept: z.literal(false), reason: z.string() }),
    ]),
    scale: z.strictObject(dryRunFields),
    reassignment: z.union([
      z.strictObject(dryRunFields),
      /** Do not make it again. */
      z.strictObject({ skip: z.literal(true), reason: z.string() }),
    ]),
    third_party_allocate: z.strictObject({ data: json }),
  },
  adhocAllocator: {
    allocate: z.union([
      z.strictObject({
        clusterId: z.string(),
        nodeId: z.string().optional(),
        gpus: z.array(z.number().int().nonnegative()).optional(),
      }),
      z.strictObject({ refused: z.string() }),
    ]),
  },
  preemption: {
    preempt: z.union([
      /** Index into `options`. */
      z.strictObject({ option: z.number().int().nonnegative(), reason: z.string().optional() }),
      z.strictObject({ refused: z.string() }),
    ]),
  },
  resourceEstimator: {
    estimate: z.union([
      z.strictObject({ allowed: z.literal(true), nodeId: z.string() }),
      z.strictObject({ allowed: z.literal(false), reason: z.string() }),
    ]),
  },
} as const;

const metrics = {
  get_metrics: 'input.cluster and input.nodes (measured), input.metrics',
  cluster_metrics: 'input.cluster, input.nodes',
};

export const placementHooks = {
  clusterAllocator: {
    defaultPolicy: 'best-score:1.0.0-stable',
    timeLimitMs: 1000,
    onError: 'fail-with-reason',
    persistsState: true,
    helpers: { cluster_metrics_client: 'input.clusters' },
    status: 'called',
    description:
      'Chooses clusters for a block before the dry runs, and one of the plans after them.',
  },
  resourceAllocator: {
    defaultPolicy: 'bin-pack:1.0.0-stable',
    timeLimitMs: 1000,
    onError: 'fail-with-reason',
    persistsState: true,
    helpers: metrics,
    status: 'called',
    description: 'Scores one cluster for a block and names the node and devices of each instance.',
  },
  adhocAllocator: {
    defaultPolicy: 'most-free:1.0.0-stable',
    timeLimitMs: 1000,
    onError: 'fail-with-reason',
    persistsState: true,
    helpers: { cluster_client: 'input.clusters', cluster_metrics_client: 'input.clusters' },
    status: 'called',
    description: 'Names a cluster, and maybe a node and devices, for a request that is no block.',
  },
  preemption: {
    defaultPolicy: 'fewest-victims:1.0.0-stable',
    timeLimitMs: 1000,
    onError: 'fail-with-reason',
    persistsState: true,
    helpers: {},
    status: 'called',
    description: 'Chooses which instances of lower priority make room for a block, or refuses.',
  },
  resourceEstimator: {
    defaultPolicy: 'roomiest-node:1.0.0-stable',
    timeLimitMs: 1000,
    onError: 'deny',
    persistsState: false,
    helpers: metrics,
    status: 'called',
    description: 'Admits a policy job, or refuses it, and names the node that has room.',
  },
} as const satisfies Record<keyof PlacementInputs, HookDefinition>;
