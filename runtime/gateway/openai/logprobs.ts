import type { GenerationEvent, TokenChoice } from '../../vdag/index.ts';

type Choice = NonNullable<Extract<GenerationEvent, { type: 'token' }>['choice']>;

const entryOf = ({ text, logprob, bytes }: TokenChoice) => ({ token: text, logprob, bytes });

/** The chat form: an entry a token. */
export function chatLogprobs(choices: readonly Choice[]) {
  return {
    content: choices.map((choice) => ({
      ...entryOf(choice),
      top_logprobs: choice.top.map(entryOf),
    })),
    refusal: null,
  };
}

/** The completions form: parallel lists. Offsets count characters of the answer. */
export function completionLogprobs(choices: readonly Choice[], firstOffset: number) {
  let offset = firstOffset;
  const textOffsets: number[] = [];
  for (const { text } of choices) {
    textOffsets.push(offset);
    offset += text.length;
  }
  return {
    tokens: choices.map(({ text }) => text),
    token_logprobs: choices.map(({ logprob }) => logprob),
    top_logprobs: choices.map(({ top }) =>
      Object.fromEntries(top.map(({ text, logprob }) => [text, logprob])),
    ),
    text_offset: textOffsets,
  };
}
