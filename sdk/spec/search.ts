import { z } from 'zod';
import { policyReference } from './common.ts';

export const searchKinds = ['cluster', 'block', 'vdag', 'component', 'policy'] as const;
export type SearchKind = (typeof searchKinds)[number];

/** What is looked for, and who orders it. */
export const searchSpec = z.strictObject({
  matchType: z.enum(searchKinds),
  filter: z.unknown().optional(),
  rankingPolicyRule: policyReference.optional(),
  limit: z.number().int().min(1).max(10_000).default(100),
});
export type SearchSpec = z.output<typeof searchSpec>;
