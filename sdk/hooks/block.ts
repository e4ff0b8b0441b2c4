import { z } from 'zod';
import type { ClusterSnapshot } from '../cluster.ts';
import type { BlockMetrics } from '../metrics.ts';
import type { Json } from '../packet.ts';
import type { HookDefinition } from './definition.ts';
import { assignment, type BlockView, json, type PacketView } from './views.ts';

/** A running instance as a balancer sees it. */
interface Running {
  readonly id: string;
  readonly outstandingRequests: number;
  /** Mean time of an answer over the last minute, where known. */
  readonly latencyMs?: number;
  readonly nodeId?: string;
}

/** An instance as a stability checker sees it. */
interface Watched {
  readonly id: string;
  readonly nodeId: string;
  readonly state: string;
  readonly healthy: boolean;
  readonly restarts: number;
  readonly lastError?: string;
}

export interface BlockInputs {
  loadBalancer: {
    load_balance: {
      readonly action: 'load_balance';
      readonly blockId: string;
      readonly sessionId: string;
      /** The request's text where the block declares a chat protocol: its first characters, for prefix affinity. */
      readonly promptPrefix?: string;
      /** Running instances, with requests in flight. */
      readonly instances: readonly Running[];
    };
    /** How long a request would wait now. */
    estimate: {
      readonly action: 'estimate';
      readonly blockId: string;
      readonly instances: readonly Running[];
      readonly metrics?: BlockMetrics;
    };
    /** Whether a request would be taken now. */
    check_execute: {
      readonly action: 'check_execute';
      readonly blockId: string;
      readonly inputs: Json;
      readonly instances: readonly Running[];
      readonly metrics?: BlockMetrics;
    };
  };
  autoscaler: {
    evaluate: {
      readonly action: 'evaluate';
      readonly block: BlockView;
      readonly metrics: BlockMetrics;
      /** Where it runs; absent while nothing runs. */
      readonly cluster?: ClusterSnapshot;
    };
  };
  stabilityChecker: {
    /** One block's instances. */
    block: {
      readonly action: 'block';
      readonly block: BlockView;
      readonly instances: readonly Watched[];
    };
    /** One cluster's nodes. */
    cluster: { readonly action: 'cluster'; readonly cluster: ClusterSnapshot };
  };
  pre_processing: {
    block: { readonly action: 'block'; readonly blockId: string; readonly packet: PacketView };
    vdag_node: {
      readonly action: 'vdag_node';
      readonly vdagUri: string;
      readonly nodeLabel: string;
      readonly modelParameters: Readonly<Record<string, Json>>;
      readonly packet: PacketView;
    };
  };
  post_processing: BlockInputs['pre_processing'];
  blockEvent: {
    event: {
      readonly action: 'event';
      readonly blockId: string;
      readonly eventName: string;
      readonly eventData: Json;
    };
  };
}

const packet = z.strictObject({ data: json });
const packets = { block: packet, vdag_node: packet };
/** Longer texts are cut by nobody: they are refused. */
const reason = z.string().max(1000);

export const blockOutputs = {
  loadBalancer: {
    load_balance: z.strictObject({ instanceId: z.string() }),
    estimate: z.strictObject({
      waitMs: z.number().nonnegative(),
      queued: z.number().int().nonnegative(),
    }),
    check_execute: z.union([
      z.strictObject({ accept: z.literal(true) }),
      z.strictObject({
        accept: z.literal(false),
        reason,
        retryAfterMs: z.number().nonnegative().optional(),
      }),
    ]),
  },
  autoscaler: {
    evaluate: z.union([
      z.strictObject({ hold: z.literal(true), reason: reason.optional() }),
      z.strictObject({
        /** Wanted in all. The platform clamps it to `minInstances` and `maxInstances` and records both. */
        instances: z.number().int().nonnegative(),
        reason,
        /** Which go first, when fewer are wanted; absent: the least used. */
        remove: z.array(z.string()).optional(),
        /** Nodes that new ones go to if they can; the resource allocator says which, and chooses the devices. */
        assignments: z.array(assignment).optional(),
      }),
    ]),
  },
  stabilityChecker: {
    block: z.strictObject({
      actions: z
        .array(
          z.strictObject({
            type: z.enum(['restart', 'reassign', 'remove']),
            instanceId: z.string(),
            reason,
          }),
        )
        .default([]),
    }),
    cluster: z.strictObject({
      stable: z.boolean(),
      /** Nodes that take no new instances until they are stable again. */
      cordon: z.array(z.string()).default([]),
      reason: reason.optional(),
    }),
  },
  pre_processing: packets,
  post_processing: packets,
  blockEvent: { event: z.strictObject({ handled: z.boolean(), note: reason.optional() }) },
} as const;

export const blockHooks = {
  loadBalancer: {
    defaultPolicy: 'least-outstanding:1.0.0-stable',
    timeLimitMs: 50,
    onError: 'least-queued',
    persistsState: true,
    helpers: { get_metrics: 'input.instances, input.metrics' },
    status: 'called',
    description: 'Chooses the instance of a block that serves a request or a session.',
  },
  autoscaler: {
    defaultPolicy: 'hold:1.0.0-stable',
    timeLimitMs: 500,
    onError: 'hold',
    persistsState: true,
    helpers: { get_metrics: 'input.metrics, input.cluster' },
    status: 'called',
    description: 'Says how many instances a block should have.',
  },
  stabilityChecker: {
    defaultPolicy: 'report-only:1.0.0-stable',
    timeLimitMs: 500,
    onError: 'hold',
    persistsState: true,
    helpers: { get_metrics: 'input.instances, input.cluster', block_data: 'input.block' },
    status: 'called',
    description: "Watches a block's instances or a cluster's nodes, and says what to restart.",
  },
  pre_processing: {
    defaultPolicy: 'unchanged-input:1.0.0-stable',
    timeLimitMs: 100,
    onError: 'fail-with-reason',
    persistsState: true,
    helpers: {},
    status: 'defined',
    description: 'Rewrites a packet before a block or a vDAG node sees it.',
  },
  post_processing: {
    defaultPolicy: 'unchanged-output:1.0.0-stable',
    timeLimitMs: 100,
    onError: 'fail-with-reason',
    persistsState: true,
    helpers: {},
    status: 'defined',
    description: 'Rewrites what a block or a vDAG node answered.',
  },
  blockEvent: {
    defaultPolicy: 'note-event:1.0.0-stable',
    timeLimitMs: 500,
    onError: 'hold',
    persistsState: true,
    helpers: {},
    status: 'defined',
    description: 'Hears of an event that a block raised.',
  },
} as const satisfies Record<keyof BlockInputs, HookDefinition>;
