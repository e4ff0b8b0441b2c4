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
  componentType: z.string(),
  name: z.string(),
  version: z.string(),
  releaseTag: z.string(),
  artifact: codeArtifact.optional(),
  stage: stageSpec.optional(),
  container: container.optional(),
  metadata: jsonObject.default({}),
  initData: jsonObject.default({}),
  settings: jsonObject.default({}),
  parameters: jsonObject.default({}),
  /** JSON Schemas (draft 2020-12) of one packet's data and of the two maps above. */
  inputProtocol: jsonObject.optional(),
  outputProtocol: jsonObject.optional(),
  settingsProtocol: jsonObject.optional(),
  parametersProtocol: jsonObject.optional(),
  managementCommands: jsonObject.default({}),
  /** Hook → policy; a block's own entry of the same hook wins. */
  policies: z.record(z.string(), policyReference).default({}),
  tags: z.array(z.string()).default([]),
});
export type ComponentSpec = z.output<typeof componentSpec>;
