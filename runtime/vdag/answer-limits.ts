import { AiosError } from '../../sdk/errors.ts';
import {
  type GenerationLimits,
  type GenerationSpec,
  generationLimits,
} from '../../sdk/spec/vdag.ts';
import type { GenerateRequest } from './generation.ts';
import { contextExceeded, type PromptLimit } from './prompt-limit.ts';

/** A request and its model, as far as the model's limits let them go. */
export interface BoundAnswer {
  readonly request: GenerateRequest;
  readonly generation: GenerationSpec;
  readonly limits: GenerationLimits;
  /** Whose limit the deadline is, for errors. */
  readonly subject: string;
}

/** @throws {AiosError} REQUEST_INVALID - more tokens asked for than one answer may have */
export function boundAnswer(
  request: GenerateRequest,
  modelUri: string,
  generation: GenerationSpec,
): BoundAnswer {
  const limits = generation.limits ?? generationLimits.parse({});
  const { maxAnswerTokens, maxAnswerMs, maxContextTokens } = limits;
  const { maxTokens } = request;
  if (maxAnswerTokens !== undefined && maxTokens !== undefined && maxTokens > maxAnswerTokens) {
    throw new AiosError(
      'REQUEST_INVALID',
      `model '${modelUri}': ${maxTokens} tokens were asked for; an answer has at most ${maxAnswerTokens} here (generation.limits.maxAnswerTokens). Ask for fewer, or leave max_tokens out.`,
      { details: { maxTokens, maxAnswerTokens } },
    );
  }
  const longest = maxTokens ?? maxAnswerTokens;
  const latestMs = Date.now() + (maxAnswerMs ?? Number.POSITIVE_INFINITY);
  const sooner = latestMs < request.deadlineMs;
  return {
    request: {
      ...request,
      ...(longest === undefined ? {} : { maxTokens: longest }),
      deadlineMs: sooner ? latestMs : request.deadlineMs,
    },
    generation: {
      ...generation,
      contextTokens: Math.min(
        generation.contextTokens,
        maxContextTokens ?? generation.contextTokens,
      ),
    },
    limits,
    subject: `model '${modelUri}'${sooner ? ' (generation.limits.maxAnswerMs)' : ''}`,
  };
}

/** @throws {AiosError} REQUEST_INVALID, CONTEXT_LENGTH_EXCEEDED */
export function checkPrompt(
  limit: PromptLimit,
  vocabularySize: number,
  promptTokens: readonly number[],
): void {
  const { modelUri, contextTokens } = limit;
  if (promptTokens.length === 0) {
    throw new AiosError('REQUEST_INVALID', `model '${modelUri}': the prompt is empty.`);
  }
  if (promptTokens.length >= contextTokens) throw contextExceeded(limit, promptTokens.length);
  const wrong = promptTokens.findIndex(
    (token) => !Number.isInteger(token) || token < 0 || token >= vocabularySize,
  );
  if (wrong >= 0) {
    throw new AiosError(
      'REQUEST_INVALID',
      `model '${modelUri}': prompt token ${wrong} is ${promptTokens[wrong]}; expected an integer from 0 to ${vocabularySize - 1}.`,
    );
  }
}
