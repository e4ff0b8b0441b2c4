import { z } from 'zod';
import { contentHash } from '../ids.ts';
import { blockSpec } from './block.ts';
import { artifactFile } from './common.ts';
import { componentSpec } from './component.ts';
import { vdagSpec } from './vdag.ts';

/** What weights are converted to. `int8` and `int4` are blocks of codes with a scale each. */
export const weightDtype = z.enum(['fp32', 'fp16', 'int8', 'int4']);
export type WeightDtype = z.output<typeof weightDtype>;

export const shardPlan = z.strictObject({
  index: z.number().int().nonnegative(),
  /** Folder beside `plan.json` that holds the graph and its weights. */
  folder: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
    .max(200),
  firstLayer: z.number().int().nonnegative(),
  lastLayer: z.number().int().nonnegative(),
  hasEmbedding: z.boolean(),
  hasHead: z.boolean(),
  /** On disk, this shard's ranges of the checkpoint, or what they were converted to. */
  fileBytes: z.number().int().nonnegative(),
  /** Weights once loaded: F16 and BF16 become fp32, codes stay codes. */
  residentBytes: z.number().int().nonnegative(),
  /** KV cache of all `maxSessions` sessions at full context. */
  kvBytes: z.number().int().nonnegative(),
  /** Where an ONNX graph was cut after this shard. */
  cut: z
    .strictObject({
      /** Names of all tensors that cross it. */
      tensors: z.array(z.string()),
      /** To expect for one item; free dimensions are assumed. */
      trafficBytes: z.number().int().nonnegative(),
      /** `exact`: the same bits at every optimisation level; else so at level `basic`, and nearly so at others. */
      kind: z.enum(['exact', 'within 1e-5']),
    })
    .optional(),
});
export type ShardPlan = z.output<typeof shardPlan>;

/** The shards of a model, the documents that create each, and the vDAG that joins them. `plan.json`. */
export const splitPlan = z.strictObject({
  version: z.literal(1),
  model: z.string(),
  architecture: z.string(),
  splitter: z.string(),
  planner: z.string(),
  /** What the checkpoint's weights were converted to. Absent: used as they lie. */
  dtype: weightDtype.optional(),
  /** Numbers that share a scale, of `int8` and `int4`. */
  blockSize: z.number().int().positive().optional(),
  contextTokens: z.number().int().positive(),
  maxSessions: z.number().int().positive(),
  shards: z.array(shardPlan).min(1),
  components: z.array(componentSpec),
  blocks: z.array(blockSpec),
  vdag: vdagSpec,
});
export type SplitPlan = z.output<typeof splitPlan> & { readonly pending?: never };

/** In the place of a hash that a split left open. */
export const openHash = contentHash(`sha256:${'0'.repeat(64)}`);

/** What the hashes that a split left open are computed from. */
export const pendingHashes = z.strictObject({
  /** Files that are linked as they lie, and were not read. */
  files: z.array(
    artifactFile.omit({ hash: true }).extend({
      /** When its content changed last. */
      modifiedNs: z.string().regex(/^\d{1,20}$/),
    }),
  ),
  /** Of each component, its tensors: `name file offset length`, each file by its place in `files`. */
  tensors: z.array(z.array(z.string().regex(/ \d+ \d+ \d+$/))),
});
export type PendingHashes = z.output<typeof pendingHashes>;

/**
 * A plan over weights that nobody has read yet: their hashes are `openHash`, and its documents have no names of their own.
 * `plan.json` of a large model, until its plan is created.
 */
export const openPlan = splitPlan.extend({ pending: pendingHashes });
export type OpenPlan = z.output<typeof openPlan>;

/** What a split writes. */
export type WrittenPlan = SplitPlan | OpenPlan;
