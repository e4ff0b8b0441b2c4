import { z } from 'zod';
import type { Problem } from '../../../sdk/errors.ts';
import { shorten } from '../../../sdk/errors.ts';
import type { SamplingParameters } from '../../../sdk/sampling.ts';
import { type ChatMessage, type GenerateRequest, isTokenIds } from '../../vdag/index.ts';

/** vLLM and OpenAI stop at 4; more costs little. */
const maxStops = 16;
const maxTopLogprobs = 20;

const stop = z
  .union([z.string().transform((one) => [one]), z.array(z.string())])
  .nullish()
  .transform((stops) => stops ?? [])
  .pipe(z.array(z.string().min(1).max(1024)).max(maxStops));

const positiveInteger = z.number().int().positive();
/** A field that null leaves out, as OpenAI reads it. */
const optional = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined);

const shared = {
  model: z.string().min(1),
  max_tokens: optional(positiveInteger),
  temperature: optional(z.number().min(0).max(2)),
  top_p: optional(z.number().gt(0).max(1)),
  /** vLLM's; -1 and 0 mean all. */
  top_k: optional(z.number().int().min(-1)),
  /** vLLM's. */
  repetition_penalty: optional(z.number().gt(0).max(10)),
  seed: optional(z.number().int().min(Number.MIN_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER)),
  stop,
  /** Whose turn it is among those who wait. */
  user: optional(z.string()),
  stream: optional(z.boolean()),
  stream_options: optional(z.object({ include_usage: optional(z.boolean()) })),
  /** vLLM's: answers on past the end token. */
  ignore_eos: optional(z.boolean()),
  /** vLLM's. */
  return_token_ids: optional(z.boolean()),
};

/** Several parts of text make one text; other parts are refused. */
const content = z.union([
  z.string(),
  z
    .array(z.object({ type: z.literal('text'), text: z.string() }))
    .transform((parts) => parts.map(({ text }) => text).join('')),
]);

const message = z
  .object({
    role: z.enum(['system', 'developer', 'user', 'assistant']),
    content: content.nullish().transform((text) => text ?? ''),
  })
  .transform(
    ({ role, content: text }): ChatMessage => ({
      role: role === 'developer' ? 'system' : role,
      content: text,
    }),
  );

export const chatBody = z.object({
  ...shared,
  messages: z.array(message).min(1),
  max_completion_tokens: optional(positiveInteger),
  logprobs: optional(z.boolean()),
  top_logprobs: optional(z.number().int().min(0).max(maxTopLogprobs)),
});

/** A text, token ids, or a list of one of them. */
const prompt = z.unknown().transform((value, context): GenerateRequest['prompt'] => {
  const isListOfOne = Array.isArray(value) && value.length === 1 && typeof value[0] !== 'number';
  const only: unknown = isListOfOne ? value[0] : value;
  if (typeof only === 'string') return { type: 'text', text: only };
  if (isTokenIds(only)) return { type: 'tokens', tokens: only };
  const message =
    'must be a text, a list of token ids (whole numbers from 0), or a list of one of them';
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

export const completionBody = z.object({
  ...shared,
  prompt,
  logprobs: optional(z.number().int().min(0).max(maxTopLogprobs)),
});

export type ChatBody = z.output<typeof chatBody>;
export type CompletionBody = z.output<typeof completionBody>;

/** Fields of OpenAI's API that change the answer and are not implemented, and the values that change nothing. */
const unsupported: Readonly<Record<string, (value: unknown) => boolean>> = {
  n: (value) => value === 1,
  best_of: (value) => value === 1,
  echo: (value) => value === false,
  suffix: (value) => value === '',
  tools: isEmpty,
  functions: isEmpty,
  tool_choice: (value) => value === 'none' || value === 'auto',
  function_call: (value) => value === 'none' || value === 'auto',
  parallel_tool_calls: (value) => typeof value === 'boolean',
  logit_bias: isEmpty,
  frequency_penalty: (value) => value === 0,
  presence_penalty: (value) => value === 0,
  min_p: (value) => value === 0,
  use_beam_search: (value) => value === false,
  response_format: (value) => (value as { type?: unknown }).type === 'text',
  modalities: (value) => Array.isArray(value) && value.length === 1 && value[0] === 'text',
  audio: () => false,
  prediction: () => false,
};

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

/** Silence about what is not done would be a wrong answer; fields nobody knows are ignored, as OpenAI ignores them. */
export function unsupportedFields(document: unknown): readonly Problem[] {
  if (typeof document !== 'object' || document === null) return [];
  return Object.entries(document).flatMap(([name, value]): Problem[] => {
    const harmless = Object.hasOwn(unsupported, name) ? unsupported[name] : undefined;
    if (!harmless || value === null || value === undefined || harmless(value)) return [];
    return [{ path: `$.${name}`, message: 'is not supported; leave it out', seen: shorten(value) }];
  });
}

/** @param logprobs - alternatives to report beside each token; absent: nothing */
export function samplingOf(
  body: ChatBody | CompletionBody,
  logprobs: number | undefined,
): SamplingParameters {
  return {
    temperature: body.temperature ?? 1,
    topP: body.top_p ?? 1,
    topK: Math.max(0, body.top_k ?? 0),
    repetitionPenalty: body.repetition_penalty ?? 1,
    ...(body.seed === undefined ? {} : { seed: toUnsigned(body.seed) }),
    ...(logprobs === undefined ? {} : { logprobs }),
  };
}

/** OpenAI's seeds may be negative, ours are not; different seeds stay different. */
const toUnsigned = (seed: number): number => (seed < 0 ? Number.MAX_SAFE_INTEGER + 1 + seed : seed);
