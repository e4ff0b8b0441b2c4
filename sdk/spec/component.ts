import { z } from 'zod';
import { artifactFile, codeArtifact, componentUri, jsonObject, policyReference } from './common.ts';

/** Far above any model: an edited document must not make an instance count to a quadrillion. */
const maxima = { layers: 100_000, size: 2 ** 24, contextTokens: 2 ** 28, sessions: 4096 } as const;

/** Consecutive layers of a model, served by a block. Written by a splitter. */
export const stageSpec = z.strictObject({
  /** Identity of the shard: hash of its graph plus, per tensor, its file's content hash and range. */
  stageHash: z.string(),
  index: z.number().int().nonnegative().max(maxima.layers),
  count: z.number().int().positive().max(maxima.layers),
  /** Layers `[firstLayer, lastLayer]`, both inclusive; empty stages do not exist. */
  firstLayer: z.number().int().nonnegative().max(maxima.layers),
  lastLayer: z.number().int().nonnegative().max(maxima.layers),
  hasEmbedding: z.boolean(),
  hasHead: z.boolean(),
  hiddenSize: z.number().int().positive().max(maxima.size),
  vocabularySize: z.number().int().positive().max(maxima.size),
  keyValueHeads: z.number().int().positive().max(maxima.size),
  headSize: z.number().int().positive().max(maxima.size),
  /** Prompt and answer together. */
  contextTokens: z.number().int().positive().max(maxima.contextTokens),
  /** Sessions whose KV cache fits at once. */
  maxSessions: z.number().int().positive().max(maxima.sessions),
  /** Of layers and head, once loaded: what a step of one row goes through. Its pace is told by it. */
  weightBytes: z.number().int().nonnegative().optional(),
  /** Name of the ONNX graph among `files`. */
  graph: z.string(),
  files: z.array(artifactFile),
});
export type StageSpec = z.output<typeof stageSpec>;

/** A tensor that a graph takes or gives. */
export const graphTensor = z.strictObject({
  name: z.string(),
  dtype: z.string().describe('float32, int64, …'),
  shape: z
    .array(z.union([z.number().int().nonnegative(), z.string(), z.null()]))
    .optional()
    .describe('Numbers, names of free dimensions, or null. Absent: not even the rank is known.'),
});
export type GraphTensor = z.output<typeof graphTensor>;

/** A part of an ONNX graph, served by a block: tensors in, tensors out. Written by a splitter. */
export const graphSpec = z.strictObject({
  /** Identity of the part: hash of its graph plus, per tensor, its file's content hash and range. */
  stageHash: z.string(),
  index: z.number().int().nonnegative(),
  count: z.number().int().positive(),
  /** Of the tensors that come, those that this part computes with. */
  inputs: z.array(graphTensor),
  /** Tensors that this part computes. */
  outputs: z.array(graphTensor),
  /** Names of tensors that come and are handed on as they are, for later parts. */
  passes: z.array(z.string()),
  /** Name of the ONNX graph among `files`. */
  graph: z.string(),
  files: z.array(artifactFile),
});
export type GraphSpec = z.output<typeof graphSpec>;

export const container = z.strictObject({
  image: z.string(),
  registryId: z.string().optional(),
  metadata: jsonObject.default({}),
  mode: z.enum(['aios', 'third_party']).default('aios'),
  initContainer: z
    .strictObject({
      image: z.string(),
      registryId: z.string().optional(),
      metadata: jsonObject.default({}),
    })
    .optional(),
});

/**
 * A versioned description of a workload. What runs is one of `artifact` (an author's bundled code), `stage` (a shard of
 * a language model), `graph` (a part of an ONNX graph) or `container`.
 */
export const componentSpec = z.strictObject({
  uri: componentUri,
  componentType: z.string().describe('Free category, such as model or node.algorithm.objdet.'),
  name: z.string(),
  version: z.string().describe('Opaque: never ordered or compared.'),
  releaseTag: z.string(),
  artifact: codeArtifact.optional().describe("An author's bundled code."),
  stage: stageSpec.optional().describe('A shard of a model; written by a splitter.'),
  graph: graphSpec.optional().describe('A part of an ONNX graph; written by a splitter.'),
  container: container.optional(),
  metadata: jsonObject.default({}),
  initData: jsonObject
    .default({})
    .describe('For blocks that give none of their own; likewise the next two.'),
  settings: jsonObject.default({}),
  parameters: jsonObject.default({}),
  inputProtocol: jsonObject.optional().describe("JSON Schema of a packet's data."),
  outputProtocol: jsonObject.optional().describe("JSON Schema of an answer's data."),
  settingsProtocol: jsonObject.optional().describe('JSON Schema of settings.'),
  parametersProtocol: jsonObject.optional().describe('JSON Schema of parameters.'),
  managementCommands: jsonObject.default({}),
  policies: z
    .record(z.string(), policyReference)
    .default({})
    .describe("Hook to policy; a block's own entry of the same hook wins."),
  tags: z.array(z.string()).default([]),
});
export type ComponentSpec = z.output<typeof componentSpec>;
