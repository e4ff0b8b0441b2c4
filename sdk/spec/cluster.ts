import { z } from 'zod';
import { bytes, clusterId, jsonObject, nodeId, policyReference } from './common.ts';

export const gpuSpec = z.strictObject({ modelName: z.string().default('gpu'), memoryBytes: bytes });

/** A machine, or in a local cluster a group of processes with a declared capacity. */
export const nodeSpec = z.strictObject({
  id: nodeId,
  memoryBytes: bytes.describe('What placement may promise: weights, KV cache, working memory.'),
  cpuCores: z.number().positive(),
  gpus: z.array(gpuSpec).default([]),
  swapBytes: bytes.optional(),
  storageBytes: bytes.optional(),
  taints: z
    .array(
      z.strictObject({
        key: z.string(),
        value: z.string().default(''),
        effect: z
          .enum(['no-schedule', 'prefer-no-schedule'])
          .default('no-schedule')
          .describe(
            'Without a toleration: nothing new comes here, or only when nowhere else fits.',
          ),
      }),
    )
    .max(100)
    .optional(),
  tags: z.array(z.string()).default([]),
  metadata: jsonObject.default({}),
});
export type NodeSpec = z.output<typeof nodeSpec>;

/** Machines under one controller. */
export const clusterSpec = z.strictObject({
  id: clusterId,
  regionId: z.string().default('local'),
  backend: z.string().default('local').describe('Which backend runs it.'),
  nodes: z.array(nodeSpec).default([]),
  tags: z.array(z.string()).default([]),
  metadata: jsonObject.default({}),
  reputation: z.number().optional(),
  status: z.string().optional(),
  config: jsonObject.default({}),
  policies: z.record(z.string(), policyReference).default({}),
  preChecks: z
    .record(z.string(), policyReference)
    .optional()
    .describe('Action, such as add_block, to the policy that is asked before it.'),
});
export type ClusterSpec = z.output<typeof clusterSpec>;
