import { z } from 'zod';
import { codeArtifact, jsonObject, policyUri } from './common.ts';

/** A policy that was uploaded. Built-in ones are passed in by whoever composes the system and have no document. */
export const policySpec = z.strictObject({
  uri: policyUri,
  name: z.string(),
  version: z.string(),
  releaseTag: z.string(),
  hook: z.string(),
  description: z.string().default(''),
  artifact: codeArtifact,
  /** JSON Schemas of the two maps below. */
  parametersSchema: jsonObject.optional(),
  settingsSchema: jsonObject.optional(),
  parameters: jsonObject.default({}),
  settings: jsonObject.default({}),
  tags: z.array(z.string()).default([]),
});
export type PolicySpec = z.output<typeof policySpec>;
