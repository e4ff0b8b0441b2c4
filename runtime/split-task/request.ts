import { z } from 'zod';
import { assertBounded } from '../../sdk/spec/bounds.ts';
import { policyUri } from '../../sdk/spec/common.ts';
import { parseAs } from '../../sdk/spec/parse.ts';
import { weightDtype } from '../../sdk/spec/plan.ts';

const mebibyte = 2 ** 20;
const hourMs = 3_600_000;

export const requestLimits = {
  attemptTimeoutMs: 24 * hourMs,
  /** Where a request names none. */
  defaultAttemptTimeoutMs: 2 * hourMs,
} as const;

const splitRequest = z.strictObject({
  model: z.string().min(1).max(1000),
  splitter: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 hexadecimal digits')
    .optional(),
  shards: z.number().int().min(1).max(4096).optional(),
  planner: policyUri.optional(),
  fit: z.array(z.string().min(1).max(253)).max(100).default([]),
  cutTensors: z.array(z.string().min(1).max(1000)).max(4096).default([]),
  maxSessions: z.number().int().min(1).max(4096).optional(),
  contextTokens: z.number().int().min(1).optional(),
  dtype: weightDtype.optional(),
  blockSize: z.number().int().min(1).max(4096).optional(),
  copy: z.boolean().default(false),
  create: z.boolean().default(false),
  maxAttempts: z.number().int().min(1).max(10).default(3),
  attemptTimeoutMs: z.number().int().min(1000).max(requestLimits.attemptTimeoutMs).optional(),
  runOn: z.enum(['here', 'cluster']).default('here'),
  memoryBytes: z
    .number()
    .int()
    .min(128 * mebibyte)
    .max(1024 * 1024 * mebibyte)
    .default(1024 * mebibyte),
});
export type SplitRequest = z.output<typeof splitRequest>;

/** @throws {SpecError} SPEC_INVALID - with every problem */
export function readSplitRequest(document: unknown): SplitRequest {
  assertBounded('split task', document);
  return parseAs('the split task', splitRequest, document);
}
