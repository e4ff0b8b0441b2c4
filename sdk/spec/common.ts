import { z } from 'zod';
import { AiosError } from '../errors.ts';
import * as ids from '../ids.ts';
import { parseBytes } from '../units.ts';

/** Lifts a checking function into a schema, so that its sentence becomes the problem's message. */
function checkedBy<T extends string>(check: (text: string) => T, pattern: string) {
  // The pattern is for the published JSON Schema; `check` says the same with a better sentence.
  const text = z.string().meta({ pattern, maxLength: ids.maxIdLength });
  return text.transform((value, context): T => {
    try {
      return check(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: AiosError.from(error).message, input: value });
      return z.NEVER;
    }
  });
}

export const componentUri = checkedBy(ids.componentUri, ids.idPatterns.componentUri);
export const policyUri = checkedBy(ids.policyUri, ids.idPatterns.policyUri);
export const vdagUri = checkedBy(ids.vdagUri, ids.idPatterns.vdagUri);
export const blockId = checkedBy(ids.blockId, ids.idPatterns.blockId);
export const clusterId = checkedBy(ids.clusterId, ids.idPatterns.clusterId);
export const nodeId = checkedBy(ids.nodeId, ids.idPatterns.nodeId);
export const contentHash = checkedBy(ids.contentHash, ids.idPatterns.contentHash);

/** Free JSON under string keys. */
export const jsonObject = z.record(z.string(), z.unknown());

const byteText = z
  .string()
  .meta({ pattern: '^\\s*[0-9]+(\\.[0-9]+)?\\s*([bB]|[kKmMgGtT][iI]?[bB]?)?\\s*$' });

/** Bytes as a number, or text such as `'512Mi'`; the output is bytes. */
export const bytes = z
  .union([z.number().nonnegative().max(Number.MAX_SAFE_INTEGER), byteText])
  .transform((value, context) => {
    if (typeof value === 'number') return Math.round(value);
    try {
      return parseBytes(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: AiosError.from(error).message, input: value });
      return z.NEVER;
    }
  });

/** A file in the artifact store. */
export const artifactFile = z.strictObject({
  /** Name inside the instance's folder: no directories. */
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
    .max(200),
  hash: contentHash,
  sizeBytes: z.number().int().nonnegative(),
});
export type ArtifactFile = z.output<typeof artifactFile>;

/** Code that was bundled and stored under its content hash. */
export const codeArtifact = z.strictObject({
  hash: contentHash,
  entry: z.string().default('default').describe('Export that holds the define… result.'),
});

/** One GPU (or a share of one) that an instance needs. */
export const gpuRequest = z.strictObject({
  memoryBytes: bytes,
  exclusive: z.boolean().default(false).describe('No other instance may share the device.'),
});

/** What one instance is promised. */
export const resourceAmounts = z.strictObject({
  memoryBytes: bytes,
  cpuCores: z.number().nonnegative().default(0),
  gpus: z.array(gpuRequest).max(1024).default([]),
});
export type ResourceAmounts = z.output<typeof resourceAmounts>;

/** A policy at one of a document's hooks. Parameters are what the policy decides by, settings how it runs. */
export const policyReference = z.strictObject({
  policyRuleURI: policyUri
    .optional()
    .describe("Left out: the hook's default policy, with these parameters."),
  parameters: jsonObject.default({}).describe('What the policy decides by.'),
  settings: jsonObject.default({}).describe('How the policy runs.'),
});
export type PolicyReference = z.output<typeof policyReference>;

/** AIOS's AND/OR conditions; read and compiled by the platform. */
const filter = jsonObject;

const neighbours = z
  .strictObject({
    ids: z.array(z.string()).max(100).default([]),
    tags: z.array(z.string()).max(100).default([]),
    topologyKey: z
      .string()
      .default('node')
      .describe(
        "'node', or a key of the nodes' metadata such as 'zone': equal values are one place.",
      ),
    required: z.boolean().default(true),
    weight: z.number().min(0).max(1).default(1).describe('Where not required.'),
  })
  .describe('Blocks, by id or by tag.');

/** Accepts a node's taint. */
const toleration = z.strictObject({
  key: z.string().optional().describe('Left out: every taint.'),
  value: z.string().optional().describe('Left out: any value.'),
});

/** Where a block may run, beside what it needs. */
export const placementRules = z.strictObject({
  nodeAffinity: z
    .strictObject({
      required: filter.optional().describe('{nodeQuery, nodeMetricsQuery, gpuQuery}.'),
      preferred: z
        .array(
          z.strictObject({
            weight: z.number().min(-1).max(1),
            filter,
            reason: z.string().max(300).optional().describe('Why, for people: shown by explain.'),
          }),
        )
        .max(20)
        .default([]),
    })
    .optional(),
  /** Runs where such blocks run. */
  affinity: z.array(neighbours).max(20).default([]),
  /** Runs where no such block runs; its own id or tags keep its instances apart. */
  antiAffinity: z.array(neighbours).max(20).default([]),
  tolerations: z.array(toleration).max(100).default([]),
});
export type PlacementRules = z.output<typeof placementRules>;
