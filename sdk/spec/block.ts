import { z } from 'zod';
import { blockId, componentUri, jsonObject, policyReference, resourceAmounts } from './common.ts';

/** A component running: between `minInstances` and `maxInstances` processes on one cluster. */
export const blockSpec = z.strictObject({
  id: blockId,
  componentUri,
  minInstances: z.number().int().nonnegative(),
  maxInstances: z.number().int().positive(),
  /** Of one instance. Absent in an AIOS document: read from the allocator's parameters at placement. */
  resources: resourceAmounts.optional(),
  initData: jsonObject.optional(),
  settings: jsonObject.optional(),
  parameters: jsonObject.optional(),
  /** Hook → policy, over the component's. */
  policies: z.record(z.string(), policyReference).default({}),
  /** CPU threads of one shard instance. @default 1 */
  threads: z.number().int().positive().optional(),
  tags: z.array(z.string()).default([]),
});
export type BlockSpec = z.output<typeof blockSpec>;
