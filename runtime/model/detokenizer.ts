import { type DecodeOptions, dropLeadingSpaces, type Tokenizer } from './tokenizer.ts';

/** Turns tokens into text as they come. */
export interface Detokenizer {
  /** @returns what became readable with this token; empty while a character is unfinished */
  push(token: number): string;
  /** @returns U+FFFD for a character that was never finished, else nothing */
  flush(): string;
}

/** All it returns, joined, equals `tokenizer.decode` of all tokens. Special tokens give no text. */
export function createDetokenizer(
  tokenizer: Tokenizer,
  { continues = false }: DecodeOptions = {},
): Detokenizer {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let spacesToDrop = continues ? 0 : tokenizer.leadingSpaces;

  function withoutLeadingSpaces(text: string): string {
    if (spacesToDrop === 0 || text === '') return text;
    const rest = dropLeadingSpaces(text, spacesToDrop);
    spacesToDrop = rest === '' ? spacesToDrop - text.length : 0;
    return rest;
  }

  return {
    push(token) {
      if (tokenizer.isSpecial(token)) return '';
      return withoutLeadingSpaces(decoder.decode(tokenizer.tokenBytes(token), { stream: true }));
    },
    flush: () => withoutLeadingSpaces(decoder.decode()),
  };
}
