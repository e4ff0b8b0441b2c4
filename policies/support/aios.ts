import { z } from 'zod';

/** AIOS documents write numbers as text in nearly every example. */
const written = z
  .string()
  .trim()
  .regex(/^\d+(?:\.\d+)?$/)
  .transform(Number);

/** A number, or text that is one. */
export const amount = z.union([z.number(), written]).pipe(z.number().nonnegative());

/** A share above 0: 0.8, or in percent 80. */
export const share = amount
  .transform((value) => (value > 1 ? value / 100 : value))
  .pipe(z.number().positive().max(1));

/** Of AIOS's cluster allocators. */
export const selectorParameters = z.strictObject({
  /** Conditions of clusters; the platform applies them before the policy is asked. */
  filter: z.unknown().optional(),
});
export const selectorSettings = z.strictObject({
  /** Clusters that are scored. */
  max_candidates: amount.pipe(z.number().int().positive()).default(3),
});
