import { z } from 'zod';
import type { BlockMetrics } from '../metrics.ts';
import type { Json } from '../packet.ts';
import type { HookDefinition } from './definition.ts';
import type { BlockView } from './views.ts';

export interface VdagInputs {
  assignment: {
    assign: {
      readonly action: 'assign';
      readonly vdagUri: string;
      readonly nodeLabel: string;
      /** Blocks that passed the node's filter. */
      readonly candidates: readonly {
        readonly block: BlockView;
        readonly metrics?: BlockMetrics;
      }[];
    };
  };
  quotaChecker: {
    check: {
      readonly action: 'check';
      readonly vdagUri: string;
      /** Who asks: an API key's name, else the session. */
      readonly caller: string;
      readonly sessionId: string;
      /** What this request costs, in tokens or requests. */
      readonly cost: number;
      /** Requests of this caller so far, this one included. */
      readonly requests: number;
    };
  };
  qualityChecker: {
    check: {
      readonly action: 'check';
      readonly vdagUri: string;
      readonly request: Json;
      readonly response: Json;
    };
  };
  healthChecker: {
    /** At every request: must be quick. */
    fast_check: {
      readonly action: 'fast_check';
      readonly vdagUri: string;
      readonly blocks: readonly { readonly id: string; readonly readyInstances: number }[];
    };
    /** On demand and at an interval. */
    default: {
      readonly action: 'default';
      readonly vdagUri: string;
      readonly blocks: readonly {
        readonly id: string;
        readonly readyInstances: number;
        readonly wantedInstances: number;
        readonly error?: string;
      }[];
    };
  };
}

const health = z.strictObject({ healthy: z.boolean(), reason: z.string().max(1000).optional() });

export const vdagOutputs = {
  assignment: {
    assign: z.union([
      z.strictObject({ blockId: z.string(), reason: z.string().optional() }),
      z.strictObject({ refused: z.string() }),
    ]),
  },
  quotaChecker: {
    check: z.union([
      z.strictObject({ allowed: z.literal(true) }),
      z.strictObject({
        allowed: z.literal(false),
        reason: z.string().max(1000),
        retryAfterMs: z.number().nonnegative().optional(),
      }),
    ]),
  },
  qualityChecker: {
    check: z.strictObject({
      ok: z.boolean(),
      score: z.number().min(0).max(1).optional(),
      findings: z.array(z.string().max(1000)).max(100).default([]),
    }),
  },
  healthChecker: { fast_check: health, default: health },
} as const;

export const vdagHooks = {
  assignment: {
    defaultPolicy: 'least-busy-block:1.0.0-stable',
    timeLimitMs: 500,
    onError: 'fail-with-reason',
    persistsState: true,
    helpers: {
      block_metrics_api: 'input.candidates[].metrics',
      cluster_metrics_api: 'input.candidates[].block.instances',
    },
    status: 'called',
    description: 'Chooses the block that serves a vDAG node.',
  },
  quotaChecker: {
    defaultPolicy: 'unlimited:1.0.0-stable',
    timeLimitMs: 50,
    onError: 'deny',
    persistsState: true,
    helpers: { quota_table: 'context.state' },
    status: 'defined',
    description: 'Admits a request of a caller, or says when to come back.',
  },
  qualityChecker: {
    defaultPolicy: 'accept-all:1.0.0-stable',
    timeLimitMs: 500,
    onError: 'allow',
    persistsState: true,
    helpers: {},
    status: 'defined',
    description: 'Judges a sample of answers beside the requests they answer.',
  },
  healthChecker: {
    defaultPolicy: 'every-block-ready:1.0.0-stable',
    timeLimitMs: 50,
    onError: 'allow',
    persistsState: true,
    helpers: { health_check_data: 'input.blocks' },
    status: 'defined',
    description: 'Says whether a vDAG can take requests.',
  },
} as const satisfies Record<keyof VdagInputs, HookDefinition>;
