import type { GenerationEvent, GenerationUsage } from '../../vdag/index.ts';
import { chatLogprobs, completionLogprobs } from './logprobs.ts';

type TokenEvent = Extract<GenerationEvent, { type: 'token' }>;

/** A piece of an answer, or all of it. */
export interface AnswerPart {
  readonly text: string;
  readonly tokens: readonly TokenEvent[];
  /** Characters of the answer before this piece. */
  readonly offset: number;
  readonly finishReason: 'stop' | 'length' | null;
}

/** What differs between the two endpoints. */
export interface AnswerShape {
  readonly idPrefix: string;
  readonly wholeObject: string;
  readonly chunkObject: string;
  /** Sent before the first token; absent: nothing is. */
  readonly openingChoice?: Readonly<Record<string, unknown>>;
  wholeChoice(answer: AnswerPart): Record<string, unknown>;
  chunkChoice(part: AnswerPart): Record<string, unknown>;
}

const choicesOf = (tokens: readonly TokenEvent[]) =>
  tokens.flatMap(({ choice }) => (choice ? [choice] : []));

const chatLogprobsOf = ({ tokens }: AnswerPart) => {
  const choices = choicesOf(tokens);
  return choices.length > 0 ? chatLogprobs(choices) : null;
};

export const chatShape: AnswerShape = {
  idPrefix: 'chatcmpl',
  wholeObject: 'chat.completion',
  chunkObject: 'chat.completion.chunk',
  openingChoice: {
    index: 0,
    delta: { role: 'assistant', content: '' },
    logprobs: null,
    finish_reason: null,
  },
  wholeChoice: (answer) => ({
    index: 0,
    message: { role: 'assistant', content: answer.text, refusal: null },
    logprobs: chatLogprobsOf(answer),
    finish_reason: answer.finishReason,
  }),
  chunkChoice: (part) => ({
    index: 0,
    delta: part.finishReason !== null && part.text === '' ? {} : { content: part.text },
    logprobs: chatLogprobsOf(part),
    finish_reason: part.finishReason,
  }),
};

const completionChoice = (part: AnswerPart) => {
  const choices = choicesOf(part.tokens);
  return {
    index: 0,
    text: part.text,
    logprobs: choices.length > 0 ? completionLogprobs(choices, part.offset) : null,
    finish_reason: part.finishReason,
  };
};

export const completionShape: AnswerShape = {
  idPrefix: 'cmpl',
  wholeObject: 'text_completion',
  chunkObject: 'text_completion',
  wholeChoice: completionChoice,
  chunkChoice: completionChoice,
};

export const usageOf = ({ promptTokens, completionTokens }: GenerationUsage) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});
