import { z } from 'zod';
import type { Json } from '../packet.ts';
import type { HookDefinition } from './definition.ts';
import { json } from './views.ts';

export interface LayerAmounts {
  /** Weights once loaded. */
  readonly residentBytes: number;
  /** KV cache of this layer for all sessions at full context. */
  readonly kvBytes: number;
}

/** Hooks of search, templates, failures, planning, and functions that belong to no decision point. */
export interface PlatformInputs {
  ranking: {
    rank: {
      readonly action: 'rank';
      readonly matchType: string;
      /** What passed the filter, as documents, with `metrics` where there are any. */
      readonly candidates: readonly (Readonly<Record<string, unknown>> & { readonly id: string })[];
    };
  };
  template: {
    execute: {
      readonly action: 'execute';
      readonly templateUri: string;
      /** The whole submitted document. */
      readonly spec: Json;
    };
  };
  failurePolicy: {
    handle: {
      readonly action: 'handle';
      /** `block/ocr`, `instance/ocr-1`, `vdag/pose:1-x`. */
      readonly subject: string;
      readonly failure: {
        readonly code: string;
        readonly message: string;
        /** Failures of this subject in a row, this one included. */
        readonly count: number;
      };
      readonly inputs: Json;
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
        /** What goes from one shard to the next at each token. */
        readonly activationBytes?: number;
        /** What the layers' KV cache is for: so many sessions, so long each. */
        readonly maxSessions?: number;
        readonly contextTokens?: number;
        /** Of the weights, once loaded: `fp32`, `int8`, …; absent where they cannot be converted. */
        readonly weightDtype?: string;
      };
      /** Asked for by the user; absent: as few as fit. */
      readonly shards?: number;
      /** Where shards may run, any order. */
      readonly nodes: readonly {
        readonly clusterId: string;
        readonly nodeId: string;
        readonly freeMemoryBytes: number;
        readonly cpuCores: number;
        /** Weights it goes through while decoding, as measured. */
        readonly weightBytesPerSecond?: number;
      }[];
      /** As measured; alike in both directions. What is not listed is taken as the median of what is. */
      readonly links?: readonly {
        /** Node ids, as `clusterId/nodeId`. */
        readonly between: readonly [string, string];
        readonly latencyMs: number;
        readonly bytesPerSecond: number;
      }[];
    };
  };
  function: { call: { readonly action: 'call'; readonly input: Json } };
}

export const platformOutputs = {
  ranking: {
    rank: z.strictObject({
      /** Ids of candidates, best first; those left out are not shown. */
      ranked: z.array(z.strictObject({ id: z.string(), score: z.number().optional() })),
    }),
  },
  template: { execute: z.strictObject({ document: json }) },
  failurePolicy: {
    handle: z.strictObject({
      actions: z
        .array(
          z.strictObject({
            type: z.enum(['retry', 'restart', 'reassign', 'notify', 'give-up']),
            afterMs: z.number().nonnegative().default(0),
            message: z.string().max(1000).optional(),
          }),
        )
        .max(20)
        .default([]),
    }),
  },
  splitPlanner: {
    plan: z.union([
      z.strictObject({
        /** Index of each shard's first layer, ascending from 0; `[0]` means «do not split». */
        firstLayers: z.array(z.number().int().nonnegative()).min(1),
        /** The node of each shard, as `clusterId/nodeId`, where it matters which. */
        nodes: z.array(z.string()).optional(),
        reason: z.string().optional(),
      }),
      z.strictObject({ infeasible: z.string() }),
    ]),
  },
  function: { call: z.strictObject({ output: json }) },
} as const;

export const platformHooks = {
  ranking: {
    defaultPolicy: 'given-order:1.0.0-stable',
    timeLimitMs: 500,
    onError: 'fail-with-reason',
    persistsState: true,
    helpers: { block_metrics_api: 'input.candidates[].metrics' },
    status: 'called',
    description: 'Orders what a search found.',
  },
  template: {
    defaultPolicy: 'plain-document:1.0.0-stable',
    timeLimitMs: 500,
    onError: 'fail-with-reason',
    persistsState: false,
    helpers: { template_data: 'input.templateUri' },
    status: 'called',
    description: 'Turns a document of a template into one the platform reads.',
  },
  failurePolicy: {
    defaultPolicy: 'retry-then-restart:1.0.0-stable',
    timeLimitMs: 500,
    onError: 'hold',
    persistsState: true,
    helpers: {},
    status: 'called',
    description: 'Says what to do about a failure that repeats.',
  },
  splitPlanner: {
    defaultPolicy: 'memory-aware:1.0.0-stable',
    timeLimitMs: 5000,
    onError: 'fail-with-reason',
    persistsState: true,
    helpers: { get_cluster_metrics: 'input.nodes' },
    status: 'called',
    description: 'Cuts a model into shards that fit the nodes.',
  },
  function: {
    defaultPolicy: 'same-output:1.0.0-stable',
    timeLimitMs: 1000,
    onError: 'fail-with-reason',
    persistsState: true,
    helpers: {},
    status: 'called',
    description: 'A step of a policy graph, a job, or a deployed function: any JSON to any JSON.',
  },
} as const satisfies Record<keyof PlatformInputs, HookDefinition>;
