import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { AiosError } from '../../sdk/errors.ts';

/** What a prompt must fit. */
export interface PromptLimit {
  readonly modelUri: string;
  readonly contextTokens: number;
}

/** On average over a whole prompt; single tokens of indentation are longer. */
const maxCharactersPerToken = 32;
/** Tokenized at once, without letting others run: some 50 ms of work. */
const sliceCharacters = 16_384;
/** Tokens that a cut between two slices may add to their sum. */
const slackTokens = 64;

/** @param least - the prompt was not counted to its end: it has this many tokens or more */
export function contextExceeded(limit: PromptLimit, promptTokens: number, least = false) {
  const { modelUri, contextTokens } = limit;
  return new AiosError(
    'CONTEXT_LENGTH_EXCEEDED',
    `model '${modelUri}': the context is ${contextTokens} tokens, prompt and answer together, and the prompt has ${least ? 'at least ' : ''}${promptTokens}. Shorten the prompt to ${contextTokens - 1} tokens or fewer.`,
    { details: { contextTokens, promptTokens } },
  );
}

/** @throws {AiosError} CONTEXT_LENGTH_EXCEEDED - no text of so many characters fits */
export function checkPromptLength(limit: PromptLimit, characters: number): void {
  const leastTokens = Math.ceil(characters / maxCharactersPerToken);
  if (leastTokens > limit.contextTokens) throw contextExceeded(limit, leastTokens, true);
}

/**
 * Counts a long text's tokens in slices and lets others run in between, so that a hostile prompt costs what the context
 * does and not what it has. A text that passes is tokenized once more, whole: only that is exact.
 *
 * @throws {AiosError} CONTEXT_LENGTH_EXCEEDED
 */
export async function checkPromptTokens(
  limit: PromptLimit,
  text: string,
  countTokens: (slice: string) => number,
  signal: AbortSignal,
): Promise<void> {
  checkPromptLength(limit, text.length);
  if (text.length <= 2 * sliceCharacters) return;
  let leastTokens = 0;
  for (let at = 0; at < text.length; at += sliceCharacters) {
    leastTokens += Math.max(0, countTokens(text.slice(at, at + sliceCharacters)) - slackTokens);
    if (leastTokens > limit.contextTokens) throw contextExceeded(limit, leastTokens, true);
    await yieldToOthers();
    signal.throwIfAborted();
  }
}
