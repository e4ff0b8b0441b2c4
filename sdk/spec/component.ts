import { z } from 'zod';
import { artifactFile, codeArtifact, componentUri, jsonObject, policyReference } from './common.ts';

/** Consecutive layers of a model, served by a block. Written by a splitter. */
export const stageSpec = z.strictObject({
  /** Identity of the shard: hash of its graph plus, per tensor, its file's content hash and range. */
  stageHash: z.string(),
  index: z.number().int().nonnegative(),
  count: z.number().int().positive(),
  /** Layers `[firstLayer, lastLayer]`, both inclusive; empty stages do not exist. */
  firstLayer: z.number().int().nonnegative(),
  lastLayer: z.number().int().nonnegative(),
  hasEmbedding: z.boolean(),
  hasHead: z.boolean(),
  hiddenSize: z.number().int().positive(),
  vocabularySize: z.number().int().positive(),
  keyValueHeads: z.number().int().positive(),
  headSize: z.number().int().positive(),
  /** Prompt and answer together. */
  contextTokens: z.number().int().positive(),
  /** Sessions whose KV cache fits at once. */
  maxSessions: z.number().int().positive(),
  /** Name of the ONNX graph among `files`. */
  graph: z.string(),
  files: z.array(artifactFile),
});
export type StageSpec = z.output<typeof stageSpec>;

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
 * a model) or `container`.
 */
export const componentSpec = z.strictObject({
  uri: componentUri,
  componentType: z.string().describe('Free category, such as model or node.algorithm.objdet.'),
  name: z.string(),
  version: z.string().describe('Opaque: never ordered or compared.'),
  releaseTag: z.string(),
  artifact: codeArtifact.optional().describe("An author's bundled code."),
  stage: stageSpec.optional().describe('A shard of a model; written by a splitter.'),
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
