import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';
import { AiosError, type Problem, shorten } from '../../sdk/errors.ts';
import { tokenCodec } from './token-bytes.ts';

export interface TokenizerFiles {
  /** `tokenizer.json`. */
  readonly tokenizer: Uint8Array;
  /** `tokenizer_config.json`. */
  readonly config?: Uint8Array;
}

export interface DecodeOptions {
  /**
   * The tokens follow a prompt: keep the space that SentencePiece tokenizers write before a word and drop at the start of
   * a text. @default false
   */
  readonly continues?: boolean;
}

/** Text to token ids and back. Holds no weights. */
export interface Tokenizer {
  /** One more than the highest token id. */
  readonly vocabularySize: number;
  /** The Jinja source in `tokenizer_config.json`. */
  readonly chatTemplate?: string;
  readonly beginToken?: string;
  readonly endToken?: string;
  /** Spaces dropped at the very start of a decoded text. */
  readonly leadingSpaces: number;
  /**
   * Special tokens written in the text are recognised. `addSpecialTokens` also adds what the tokenizer's post-processor
   * puts around a raw text (a begin token, mostly): say false for the output of a chat template.
   *
   * @throws {AiosError} REQUEST_TOO_LARGE
   */
  encode(text: string, options?: { readonly addSpecialTokens?: boolean }): number[];
  /** The text, without special tokens; bytes that are not UTF-8 become U+FFFD. Unknown ids give nothing. */
  decode(tokens: readonly number[], options?: DecodeOptions): string;
  /** Bytes of one token alone; a special token's are those of its name. */
  tokenBytes(token: number): Uint8Array;
  isSpecial(token: number): boolean;
}

export const tokenizerLimits = {
  tokenizerBytes: 64 * 2 ** 20,
  configBytes: 4 * 2 ** 20,
  /** UTF-16 units of one text to encode. */
  textUnits: 8 * 2 ** 20,
  tokenId: 2 ** 24,
} as const;

const tokenizerSchema = z.looseObject({
  added_tokens: z
    .array(
      z.looseObject({
        id: z.number().int().min(0).max(tokenizerLimits.tokenId),
        content: z.string().min(1),
        special: z.boolean().default(false),
      }),
    )
    .default([]),
  normalizer: z.unknown().default(null),
  pre_tokenizer: z.unknown().default(null),
  post_processor: z.unknown().default(null),
  decoder: z.unknown().default(null),
  model: z.looseObject({ type: z.enum(['BPE', 'Unigram']).optional() }),
});

const namedToken = z
  .union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)])
  .nullish();

const configSchema = z.looseObject({
  chat_template: z
    .union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))])
    .nullish(),
  bos_token: namedToken,
  eos_token: namedToken,
});

/**
 * Loads a Hugging Face tokenizer from the bytes of its files.
 *
 * @throws {AiosError} CHECKPOINT_INVALID - not the JSON it must be; UNSUPPORTED - a decoder that cannot stream;
 * REQUEST_TOO_LARGE
 */
export function loadTokenizer(files: TokenizerFiles): Tokenizer {
  const source = read('tokenizer.json', files.tokenizer, 'tokenizerBytes', tokenizerSchema);
  const config = files.config
    ? read('tokenizer_config.json', files.config, 'configBytes', configSchema)
    : {};
  const codec = tokenCodec(source.decoder);
  const library = construct(source, config);
  const added = library.get_added_tokens_decoder();
  const vocabulary = library.model?.vocab ?? [];
  const bytesOf = new Map<number, Uint8Array>();

  function tokenBytes(token: number): Uint8Array {
    let bytes = bytesOf.get(token);
    if (!bytes) {
      const content = vocabulary[token];
      if (content === undefined) bytes = new Uint8Array();
      else bytes = added.has(token) ? new TextEncoder().encode(content) : codec.toBytes(content);
      bytesOf.set(token, bytes);
    }
    return bytes;
  }
  const isSpecial = (token: number) => added.get(token)?.special === true;

  return {
    vocabularySize: vocabulary.length,
    chatTemplate: chatTemplateOf(config.chat_template),
    beginToken: config.bos_token ?? undefined,
    endToken: config.eos_token ?? undefined,
    leadingSpaces: codec.leadingSpaces,
    encode(text, { addSpecialTokens = true } = {}) {
      if (text.length > tokenizerLimits.textUnits) {
        throw new AiosError(
          'REQUEST_TOO_LARGE',
          `the prompt has ${text.length} characters; at most ${tokenizerLimits.textUnits} are tokenized. Shorten it.`,
        );
      }
      return library.encode(text, { add_special_tokens: addSpecialTokens }).ids;
    },
    decode(tokens, { continues = false } = {}) {
      const shown = tokens.filter((token) => !isSpecial(token));
      const text = Buffer.concat(shown.map(tokenBytes)).toString('utf8');
      return continues ? text : dropLeadingSpaces(text, codec.leadingSpaces);
    },
    tokenBytes,
    isSpecial,
  };
}

/** @returns the text without its first spaces, `limit` at most */
export function dropLeadingSpaces(text: string, limit: number): string {
  let spaces = 0;
  while (spaces < limit && text[spaces] === ' ') spaces++;
  return text.slice(spaces);
}

/** The package's own types do not resolve under Node's module rules: this is what is used of them. */
interface LibraryTokenizer {
  readonly model: { readonly vocab: readonly (string | undefined)[] } | null;
  encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: number[] };
  get_added_tokens_decoder(): ReadonlyMap<number, { readonly special: boolean }>;
}

function construct(source: object, config: object): LibraryTokenizer {
  try {
    return new HuggingFaceTokenizer(source, config);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AiosError(
      'CHECKPOINT_INVALID',
      `tokenizer.json describes no tokenizer that can be built: ${reason}. Export it again as a fast tokenizer.`,
      { cause },
    );
  }
}

/** Several templates may be named; `default` is the one for chats. */
function chatTemplateOf(
  template: z.output<typeof configSchema>['chat_template'],
): string | undefined {
  if (!Array.isArray(template)) return template ?? undefined;
  return (template.find(({ name }) => name === 'default') ?? template[0])?.template;
}

function read<Schema extends z.ZodType>(
  name: string,
  bytes: Uint8Array,
  limit: 'tokenizerBytes' | 'configBytes',
  schema: Schema,
): z.output<Schema> {
  const maxBytes = tokenizerLimits[limit];
  if (bytes.byteLength > maxBytes) {
    throw new AiosError(
      'REQUEST_TOO_LARGE',
      `${name} has ${bytes.byteLength} bytes; at most ${maxBytes} are read.`,
    );
  }
  const parsed = schema.safeParse(parseJson(name, bytes));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues
    .slice(0, 10)
    .map(({ path, message }): Problem => ({ path: ['$', ...path].join('.'), message }));
  throw new AiosError(
    'CHECKPOINT_INVALID',
    `${name} is not what a Hugging Face tokenizer has: ${problems.map(({ path, message }) => `${path}: ${message}`).join('; ')}.`,
    { problems },
  );
}

function parseJson(name: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    const start = shorten(Buffer.from(bytes.subarray(0, 40)).toString('latin1'));
    throw new AiosError('CHECKPOINT_INVALID', `${name} is not JSON; it starts with ${start}.`, {
      cause,
    });
  }
}
