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
    tokens: choices.map(nameOf),
    token_logprobs: choices.map(({ logprob }) => logprob),
    // The chosen token is among them, also when it is none of the likeliest.
    top_logprobs: choices.map((choice) =>
      Object.fromEntries([...choice.top, choice].map((one) => [nameOf(one), one.logprob])),
    ),
    text_offset: textOffsets,
  };
}

/** A part of a character is no text: written as OpenAI does, so that two parts have two names. */
function nameOf({ text, bytes }: TokenChoice): string {
  if (!text.includes('\uFFFD')) return text;
  return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
}
