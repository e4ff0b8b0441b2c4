import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDetokenizer } from '../../../runtime/model/detokenizer.ts';
import { loadTokenizer } from '../../../runtime/model/tokenizer.ts';
import { readGolden, tinyAssistantFile } from '../../support/tiny-assistant.ts';

const tokenizerBytes = tinyAssistantFile('tokenizer.json');
const configBytes = tinyAssistantFile('tokenizer_config.json');
const tokenizer = loadTokenizer({ tokenizer: tokenizerBytes, config: configBytes });
const golden = readGolden();
const ids = fc.array(fc.nat(tokenizer.vocabularySize - 1), { maxLength: 60 });

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

/** Of the shape SentencePiece checkpoints (Llama 2, TinyLlama) have. */
const sentencePiece = {
  added_tokens: [
    { id: 0, content: '<unk>', special: true },
    { id: 1, content: '<s>', special: true },
    { id: 2, content: '</s>', special: true },
  ],
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
  },
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  },
  model: {
    type: 'BPE',
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: true,
    vocab: Object.fromEntries(
      [
        ...['<unk>', '<s>', '</s>'],
        ...Array.from(
          { length: 256 },
          (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
        ),
        ...['▁', 'a', 'b', 'c', '▁a'],
      ].map((content, id) => [content, id]),
    ),
    merges: ['▁ a'],
  },
};

describe('the tokenizer of the tiny assistant', () => {
  it('gives the golden prompt tokens', () => {
    for (const row of golden.rows) expect(tokenizer.encode(row.prompt)).toEqual(row.promptTokens);
  });

  it('gives the golden texts', () => {
    for (const row of golden.rows) expect(tokenizer.decode(row.tokens)).toBe(row.text);
  });

  it('decodes what it encoded, emoji and all', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
    );
  });

  it('decodes any ids as the reference library does', () => {
    const library = new LibraryTokenizer(
      JSON.parse(tokenizerBytes.toString('utf8')) as object,
      JSON.parse(configBytes.toString('utf8')) as object,
    );
    const options = { skip_special_tokens: true, clean_up_tokenization_spaces: false };
    fc.assert(
      fc.property(ids, (tokens) => {
        const expected = tokens.length === 0 ? '' : library.decode(tokens, options);
        expect(tokenizer.decode(tokens)).toBe(expected);
      }),
    );
  });

  it('knows the bytes of a part of a character and the names of special tokens', () => {
    const tokens = tokenizer.encode('🙂');
    expect(tokens.length).toBeGreaterThan(1);
    expect(tokens.flatMap((token) => [...tokenizer.tokenBytes(token)])).toEqual([
      ...Buffer.from('🙂'),
    ]);
    expect(tokenizer.isSpecial(3)).toBe(true);
    expect(Buffer.from(tokenizer.tokenBytes(3)).toString()).toBe('<|end|>');
    expect(tokenizer.tokenBytes(1_000_000)).toEqual(new Uint8Array());
    expect(tokenizer).toMatchObject({ vocabularySize: 768, endToken: '<|end|>' });
    expect(tokenizer.beginToken).toBeUndefined();
  });
});

describe('a streaming detokenizer', () => {
  function stream(
    source: typeof tokenizer,
    tokens: readonly number[],
    continues = false,
  ): string[] {
    const detokenizer = createDetokenizer(source, { continues });
    return [...tokens.map((token) => detokenizer.push(token)), detokenizer.flush()];
  }

  it('gives in pieces what decoding everything at once gives', () => {
    fc.assert(
      fc.property(ids, (tokens) => {
        expect(stream(tokenizer, tokens).join('')).toBe(tokenizer.decode(tokens));
      }),
    );
    for (const { tokens, text } of golden.rows) {
      expect(stream(tokenizer, tokens).join('')).toBe(text);
    }
  });

  it('holds back a character until it is whole', () => {
    const pieces = stream(tokenizer, tokenizer.encode('🙂!'));
    expect(pieces.filter((piece) => piece !== '')).toEqual(['🙂', '!']);
  });

  it('shows a character that was never finished as U+FFFD', () => {
    const tokens = tokenizer.encode('🙂').slice(0, -1);
    expect(stream(tokenizer, tokens).join('')).toBe('\ufffd');
  });
});

describe('a SentencePiece tokenizer', () => {
  const piece = loadTokenizer({
    tokenizer: json(sentencePiece),
    config: json({ bos_token: { content: '<s>' } }),
  });

  it('adds the begin token to raw text, and not to a rendered template', () => {
    expect(piece.encode('a')[0]).toBe(1);
    expect(piece.encode('<s>a', { addSpecialTokens: false }).filter((id) => id === 1)).toHaveLength(
      1,
    );
    expect(piece.beginToken).toBe('<s>');
  });

  it('falls back to bytes and streams them whole', () => {
    const tokens = piece.encode('a é🙂 b');
    expect(piece.decode(tokens)).toBe('a é🙂 b');
    const detokenizer = createDetokenizer(piece);
    const text = tokens.map((token) => detokenizer.push(token)).join('') + detokenizer.flush();
    expect(text).toBe('a é🙂 b');
  });

  it('keeps the leading space of an answer that continues a prompt', () => {
    const tokens = piece.encode('a', { addSpecialTokens: false });
    expect(piece.decode(tokens)).toBe('a');
    expect(piece.decode(tokens, { continues: true })).toBe(' a');
    expect(createDetokenizer(piece, { continues: true }).push(tokens[0] ?? 0)).toBe(' a');
  });
});

describe('tokenizer files', () => {
  const whole = JSON.parse(tokenizerBytes.toString('utf8')) as Record<string, unknown>;

  it.each([
    ['not JSON', Buffer.from('{'), 'CHECKPOINT_INVALID'],
    ['not UTF-8', Buffer.from([0xff, 0xfe]), 'CHECKPOINT_INVALID'],
    ['without a model', json({ ...whole, model: undefined }), 'CHECKPOINT_INVALID'],
    [
      'of an unknown model type',
      json({ ...whole, model: { type: 'Oracle', vocab: {} } }),
      'CHECKPOINT_INVALID',
    ],
    [
      'with an absurd token id',
      json({ ...whole, added_tokens: [{ id: 2 ** 40, content: 'x' }] }),
      'CHECKPOINT_INVALID',
    ],
    [
      'with a decoder that cannot stream',
      json({ ...whole, decoder: { type: 'CTC' } }),
      'UNSUPPORTED',
    ],
    ['too large', Buffer.alloc(64 * 2 ** 20 + 1), 'REQUEST_TOO_LARGE'],
  ])('%s are refused', (_name, bytes, code) => {
    expect(() => loadTokenizer({ tokenizer: bytes })).toThrow(expect.objectContaining({ code }));
  });

  it('need no tokenizer_config.json', () => {
    expect(loadTokenizer({ tokenizer: tokenizerBytes }).chatTemplate).toBeUndefined();
  });
});
