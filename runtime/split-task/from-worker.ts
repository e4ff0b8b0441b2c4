import { z } from 'zod';
import { AiosError, SplitError } from '../../sdk/errors.ts';
import { type SplitPlan, splitPlan } from '../../sdk/spec/plan.ts';
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
  z.object({
    type: z.literal('failed'),
    error: failure.transform((error) =>
      AiosError.deserialize(error as Parameters<typeof AiosError.deserialize>[0]),
    ),
  }),
]);
/** What a worker said, as far as it may be believed. */
export type Heard = z.output<typeof fromWorker>;

/** @returns undefined: it is none of ours */
export const readMessage = (message: unknown): Heard | undefined =>
  fromWorker.safeParse(message).data;

/** @throws {SplitError} SPLIT_PLAN_INVALID - with the first problems */
export function readPlan(answer: unknown, splitter: string): SplitPlan {
  const read = splitPlan.safeParse(answer);
  if (read.success) return read.data;
  const problems = read.error.issues
    .slice(0, workerLimits.problems)
    .map(({ path, message }) => ({ path: ['$', ...path.map(String)].join('.'), message }));
  throw invalidPlan(splitter, problems);
}

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
