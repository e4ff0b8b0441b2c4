import { AiosError, shorten } from '../../sdk/errors.ts';

/** How a vocabulary entry becomes bytes of text. */
export interface TokenCodec {
  toBytes(content: string): Uint8Array;
  /** Spaces that are dropped at the very start of a text. */
  readonly leadingSpaces: number;
}

/** The parts of a `decoder` section that are read. */
interface DecoderSection {
  readonly type?: unknown;
  readonly decoders?: unknown;
  readonly pattern?: unknown;
  readonly content?: unknown;
  readonly start?: unknown;
  readonly stop?: unknown;
  readonly replacement?: unknown;
  readonly add_prefix_space?: unknown;
  readonly prepend_scheme?: unknown;
}

/**
 * Reads the `decoder` section of a `tokenizer.json`: byte-level BPE, or SentencePiece as a metaspace or as a sequence of
 * replace, byte fallback, fuse and strip. For these, and only for these, a text is the concatenation of its tokens'
 * bytes, which streaming needs.
 *
 * @throws {AiosError} UNSUPPORTED - another decoder
 */
export function tokenCodec(decoder: unknown): TokenCodec {
  const section = (decoder ?? {}) as DecoderSection;
  if (section.type === 'ByteLevel') return { toBytes: byteLevelBytes, leadingSpaces: 0 };
  const steps = section.type === 'Sequence' ? asList(section.decoders) : [section];
  const replacements: [string, string][] = [];
  let byteFallback = false;
  let leadingSpaces = 0;
  for (const step of steps) {
    if (step.type === 'ByteLevel' && steps.length === 1) return tokenCodec(step);
    if (step.type === 'ByteFallback') byteFallback = true;
    else if (step.type === 'Replace') replacements.push(readReplacement(step));
    else if (step.type === 'Strip' && step.content === ' ' && !step.stop) {
      leadingSpaces = Number(step.start ?? 0);
    } else if (step.type === 'Metaspace') {
      replacements.push([String(step.replacement ?? '▁'), ' ']);
      const prepends = step.prepend_scheme ?? (step.add_prefix_space === false ? 'never' : 'first');
      leadingSpaces = prepends === 'never' ? 0 : 1;
    } else if (step.type !== 'Fuse') throw unsupported(step);
  }
  return {
    leadingSpaces,
    toBytes(content) {
      const byte = byteFallback ? /^<0x([0-9A-Fa-f]{2})>$/.exec(content)?.[1] : undefined;
      if (byte) return Uint8Array.of(Number.parseInt(byte, 16));
      let text = content;
      for (const [from, to] of replacements) text = text.replaceAll(from, to);
      return encoder.encode(text);
    },
  };
}

const encoder = new TextEncoder();

const asList = (value: unknown): DecoderSection[] =>
  Array.isArray(value) ? value.map((step) => (step ?? {}) as DecoderSection) : [];

function readReplacement(step: DecoderSection): [string, string] {
  const from = (step.pattern as { readonly String?: unknown } | undefined)?.String;
  if (typeof from !== 'string' || from === '' || typeof step.content !== 'string') {
    throw unsupported(step);
  }
  return [from, step.content];
}

const unsupported = (step: DecoderSection) =>
  new AiosError(
    'UNSUPPORTED',
    `tokenizer.json: the decoder ${shorten(step)} is not supported. Supported: ByteLevel, Metaspace, and a Sequence of ` +
      'Replace (of a string), ByteFallback, Fuse and Strip (of leading spaces).',
  );

/**
 * Byte-level BPE writes each byte as one printable character: itself where printable, else the next free from U+0100.
 *
 * @see the GPT-2 encoder's `bytes_to_unicode`
 */
const byteOfCharacter = new Map<string, number>();
{
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    byteOfCharacter.set(String.fromCharCode(printable(byte) ? byte : next++), byte);
  }
}

function byteLevelBytes(content: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of content) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) return encoder.encode(content);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
