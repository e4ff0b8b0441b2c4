import { z } from 'zod';
import { AiosError, type Problem, SplitError } from '../../sdk/errors.ts';
import { type SplitPlan, shardPlan, splitPlan } from '../../sdk/spec/plan.ts';
import type { SplitPreview } from '../model/index.ts';
import { workerCalls, workerLimits } from './worker-protocol.ts';

/** An author's code runs in the process that says it: nothing is longer than it may be. */
const line = z.string().transform((text) => text.slice(0, workerLimits.lineCharacters));
const text = z.string().transform((all) => all.slice(0, workerLimits.messageCharacters));

const problem = z.object({
  path: line,
  message: line,
  expected: line.optional(),
  seen: line.optional(),
  nearest: line.optional(),
});

const failure = z.object({
  code: z.string(),
  message: text,
  retryable: z.boolean().catch(false),
  problems: z
    .array(z.unknown())
    .transform((all) => all.slice(0, workerLimits.problems))
    .pipe(z.array(problem))
    .optional()
    .catch(undefined),
  details: z
    .record(z.string(), z.unknown())
    .refine((details) => JSON.stringify(details).length <= workerLimits.messageCharacters)
    .optional()
    .catch(undefined),
});

const fromWorker = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('progress'),
    progress: z.object({
      stage: z.enum(['begin', 'main', 'finish']),
      fraction: z.number().transform((fraction) => Math.min(Math.max(fraction, 0), 1)),
      message: line,
    }),
  }),
  z.object({ type: z.literal('log'), line }),
  z.object({ type: z.literal('staging'), path: z.string() }),
  z.object({
    type: z.literal('call'),
    call: z.number(),
    method: z.enum(workerCalls),
    argument: z.unknown(),
  }),
  z.object({ type: z.literal('done'), plan: z.unknown() }),
  z.object({ type: z.literal('previewed'), preview: z.unknown() }),
  z.object({
    type: z.literal('failed'),
    error: failure.transform((error) =>
      AiosError.deserialize(error as Parameters<typeof AiosError.deserialize>[0]),
    ),
  }),
]);
const splitPreview = z.object({
  outline: z.object({
    name: line,
    architecture: line,
    contextTokens: z.number().int().positive(),
    overheadBytes: z.number().int().nonnegative(),
  }),
  shards: z
    .array(shardPlan.omit({ index: true, folder: true }))
    .min(1)
    .max(workerLimits.shards),
  estimated: z.boolean().optional(),
});

/** What a worker said, as far as it may be believed. */
export type Heard = z.output<typeof fromWorker>;

/** @returns undefined: it is none of ours */
export function readMessage(message: unknown): Heard | undefined {
  try {
    return fromWorker.safeParse(message).data;
  } catch {
    // Nested so deep that looking at it takes more stack than there is.
    return undefined;
  }
}

/** @throws {SplitError} SPLIT_PLAN_INVALID - with the first problems */
export function readPlan(answer: unknown, splitter: string): SplitPlan {
  const read = splitPlan.safeParse(answer);
  if (read.success) return read.data;
  throw invalidPlan(splitter, problemsOf(read.error));
}

/** @throws {SplitError} SPLIT_PLAN_INVALID - with the first problems */
export function readPreview(answer: unknown): SplitPreview {
  const read = splitPreview.safeParse(answer);
  if (read.success) return read.data;
  const problems = problemsOf(read.error);
  throw new SplitError(
    'SPLIT_PLAN_INVALID',
    `the splitter does not say what its shards take: ${problems[0]?.path} ${problems[0]?.message}. shards() gives one entry a shard, the outline its layers.`,
    { problems },
  );
}

const problemsOf = ({ issues }: z.ZodError): Problem[] =>
  issues
    .slice(0, workerLimits.problems)
    .map(({ path, message }) => ({ path: ['$', ...path.map(String)].join('.'), message }));

export function invalidPlan(
  splitter: string,
  problems: readonly { readonly path: string; readonly message: string }[],
): SplitError {
  return new SplitError(
    'SPLIT_PLAN_INVALID',
    `splitter '${splitter}' gave no plan that can be used: ${problems[0]?.path} ${problems[0]?.message}. Make it with context.tools.createSplitPlan or createGraphPlan.`,
    { problems },
  );
}
