import { z } from 'zod';
import { AiosError, shorten } from '../../sdk/errors.ts';
import { samplingParameters } from '../../sdk/sampling.ts';
import type { GenerateRequest, GenerationDriver } from './generation.ts';
import { isTokenIds, parseRequest } from './parse-request.ts';

const maxStops = 16;

/** What a language model is given when it is one node of a graph: a prompt or messages, and how to answer. */
const generationInput = z.strictObject({
  prompt: z
    .custom<string | readonly number[]>(
      (prompt) => typeof prompt === 'string' || isTokenIds(prompt),
      'must be a text or a list of token ids (whole numbers from 0)',
    )
    .optional(),
  messages: z.array(z.strictObject({ role: z.string(), content: z.string() })).optional(),
  maxTokens: z.number().int().positive().optional(),
  stop: z
    .union([z.string().transform((one) => [one]), z.array(z.string())])
    .pipe(z.array(z.string().min(1)).max(maxStops))
    .default([]),
  ignoreEndToken: z.boolean().default(false),
  ...samplingParameters.omit({ logprobs: true }).shape,
});

/** What it answers. */
export interface GenerationOutput {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly finishReason: 'stop' | 'length';
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number };
}

/**
 * Runs a language model as one node. A bare text is its prompt.
 *
 * @param modelParameters - laid over the data
 * @param onText - given each new piece of the answer
 */
export async function runGeneration(
  driver: GenerationDriver,
  call: Pick<GenerateRequest, 'tenant' | 'client' | 'trace' | 'vdagUri' | 'deadlineMs' | 'signal'>,
  data: unknown,
  modelParameters: Readonly<Record<string, unknown>>,
  onText?: (text: string) => Promise<void>,
): Promise<GenerationOutput> {
  const { prompt, messages, maxTokens, stop, ignoreEndToken, ...sampling } = readInput(
    call.vdagUri,
    data,
    modelParameters,
  );
  const events = driver.generate({
    ...call,
    prompt: messages
      ? { type: 'messages', messages }
      : typeof prompt === 'string'
        ? { type: 'text', text: prompt }
        : { type: 'tokens', tokens: prompt ?? [] },
    sampling,
    ...(maxTokens === undefined ? {} : { maxTokens }),
    stop,
    ignoreEndToken,
  });
  let text = '';
  const tokens: number[] = [];
  for await (const event of events) {
    if (event.type === 'prompt') continue;
    text += event.text;
    if (event.text !== '') await onText?.(event.text);
    if (event.type === 'end') {
      return { text, tokens, finishReason: event.finishReason, usage: event.usage };
    }
    tokens.push(event.token);
  }
  throw new AiosError('INTERNAL', `model '${call.vdagUri}' ended without saying why.`);
}

function readInput(
  uri: string,
  data: unknown,
  modelParameters: Readonly<Record<string, unknown>>,
): z.output<typeof generationInput> {
  const given = typeof data === 'string' ? { prompt: data } : data;
  const merged =
    typeof given === 'object' && given !== null && !Array.isArray(given)
      ? { ...given, ...modelParameters }
      : given;
  return parseRequest(`the input of model '${uri}'`, generationInput, merged, {
    check: (input) =>
      input && (input.prompt === undefined) === (input.messages === undefined)
        ? [{ path: '$', message: "give either 'prompt' or 'messages'", seen: shorten(data) }]
        : [],
    opaque: ['prompt'],
  });
}
