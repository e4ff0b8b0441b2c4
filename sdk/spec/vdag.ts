import { z } from 'zod';
import { artifactFile, blockId, jsonObject, policyReference, vdagUri } from './common.ts';
import { activationDtype } from './wire-dtype.ts';

const count = z.number().int().positive();

/** What one answer of a model may take, and how many may wait for their turn. */
export const generationLimits = z.strictObject({
  maxAnswerTokens: count
    .optional()
    .describe('Longest answer; a request for more is refused. Absent: the context.'),
  maxContextTokens: count
    .optional()
    .describe('Prompt and answer together, where it shall be less than the model has.'),
  maxAnswerMs: count
    .optional()
    .describe('Longest time for an answer, waiting included. Absent: what the request allows.'),
  maxSessionsPerClient: count
    .optional()
    .describe('Answers at once for one client (an API key, or `user`); more wait. Absent: all.'),
  maxWaiting: z
    .number()
    .int()
    .min(0)
    .max(10_000)
    .default(64)
    .describe('Requests that wait for a place in the shards; one more is refused as busy.'),
  maxWaitMs: z
    .number()
    .int()
    .min(0)
    .max(3_600_000)
    .default(30_000)
    .describe('How long one waits until it is refused as busy.'),
});
export type GenerationLimits = z.output<typeof generationLimits>;

/** Makes a vDAG a language model: what the generation driver needs, which holds no weights. */
export const generationSpec = z
  .strictObject({
    /** `tokenizer.json`, `tokenizer_config.json` (chat template), `generation_config.json`. */
    files: z.array(artifactFile),
    contextTokens: z.number().int().positive(),
    vocabularySize: z.number().int().positive(),
    /** Of one row of activations; the driver cuts a prefill into chunks by it. Absent: small chunks. */
    hiddenSize: z.number().int().positive().optional(),
    endTokenIds: z.array(z.number().int().nonnegative()),
    beginTokenId: z.number().int().nonnegative().optional(),
    /** Labels of the shards, in order. */
    stages: z.array(z.string()).min(1),
    limits: generationLimits.optional(),
    activationDtype: activationDtype
      .optional()
      .describe("How activations travel between shards. 'fp32' if left out: exact."),
  })
  .refine(
    ({ stages, activationDtype: chosen }) =>
      !Array.isArray(chosen) || chosen.length === stages.length - 1,
    {
      path: ['activationDtype'],
      message: 'must name one dtype for each link: as many as there are stages, less one',
    },
  );
export type GenerationSpec = z.output<typeof generationSpec>;

export const vdagNode = z.strictObject({
  label: z
    .string()
    .min(1)
    .describe('Names the node in edges, in errors, and in what several nodes hand on together.'),
  blockId: blockId.optional().describe('A block, …'),
  vdagUri: vdagUri.optional().describe('… or a nested vDAG, …'),
  assignment: policyReference.optional().describe('… or a policy that picks a block.'),
  preprocessing: policyReference.optional(),
  postprocessing: policyReference.optional(),
  modelParameters: jsonObject.default({}),
  inputProtocol: jsonObject.optional(),
  outputProtocol: jsonObject.optional(),
});
export type VdagNode = z.output<typeof vdagNode>;

export const vdagEdge = z.strictObject({
  from: z.string().describe('Label of the node whose output is handed on.'),
  to: z
    .string()
    .describe(
      'Label of the node that is given it: as it is from one edge; by label, as {"a": …, "b": …}, where several edges lead here.',
    ),
  outputNames: z
    .array(z.string())
    .default([])
    .describe('Fields of the output that are handed on; empty: all of it.'),
});

/** A graph whose nodes are blocks or vDAGs, run as one request. */
export const vdagSpec = z.strictObject({
  uri: vdagUri,
  name: z.string(),
  version: z.string(),
  releaseTag: z.string(),
  nodes: z.array(vdagNode).min(1),
  edges: z
    .array(vdagEdge)
    .default([])
    .describe(
      'A node that no edge leads to is given the request; one that no edge leaves gives the answer, several by label.',
    ),
  generation: generationSpec.optional().describe('Makes the vDAG a language model.'),
  controller: jsonObject.default({}).describe('AIOS section, kept as it came.'),
  tags: z.array(z.string()).default([]),
});
export type VdagSpec = z.output<typeof vdagSpec>;
