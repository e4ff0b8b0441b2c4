import { z } from 'zod';
import {
  blockId,
  componentUri,
  jsonObject,
  placementRules,
  policyReference,
  resourceAmounts,
} from './common.ts';

/** Each is placed against every node: more would hold up every other block. */
export const maxInstancesOfBlock = 10_000;

/** A component running: between `minInstances` and `maxInstances` processes on one cluster. */
export const blockSpec = z.strictObject({
  id: blockId.describe('Lower-case letters, digits and hyphens. Generated when left out.'),
  componentUri: componentUri.describe('What runs: type.name:version-releaseTag.'),
  minInstances: z.number().int().nonnegative().max(maxInstancesOfBlock),
  maxInstances: z.number().int().positive().max(maxInstancesOfBlock),
  resources: resourceAmounts
    .optional()
    .describe(
      "What one instance is promised. Left out: read from the resourceAllocator's parameters.",
    ),
  initData: jsonObject.optional().describe("Replaces the component's; the two do not merge."),
  settings: jsonObject.optional().describe("Replaces the component's."),
  parameters: jsonObject
    .optional()
    .describe("Replaces the component's; may be changed while the block runs."),
  policies: z
    .record(z.string(), policyReference)
    .default({})
    .describe("Hook to policy; wins over the component's."),
  threads: z
    .number()
    .int()
    .positive()
    .optional()
    .describe('CPU threads of one instance; 1 if left out.'),
  priority: z
    .number()
    .int()
    .min(-1_000_000)
    .max(1_000_000)
    .optional()
    .describe('Higher goes first, and may take the place of lower; 0 if left out.'),
  placement: placementRules.optional().describe('Affinity, anti-affinity and tolerations.'),
  tags: z.array(z.string()).default([]),
});
export type BlockSpec = z.output<typeof blockSpec>;
