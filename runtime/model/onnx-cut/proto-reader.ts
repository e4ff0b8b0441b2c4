import type { ByteRange, ByteSource } from './byte-source.ts';

/** One field of a message. Nothing of a length-delimited field but its place is read. */
export interface ProtoField {
  readonly field: number;
  readonly wireType: 0 | 1 | 2 | 5;
  /** Of a varint; 0 otherwise. Beyond 2^53 rounded. */
  readonly value: number;
  /** The content, without key and length. */
  readonly content: ByteRange;
  /** Key, length and content. */
  readonly whole: ByteRange;
}

/** A message is not protobuf from `offsetBytes` on. */
export class ProtoFault extends Error {
  readonly offsetBytes: number;

  constructor(offsetBytes: number, message: string) {
    super(message);
    this.offsetBytes = offsetBytes;
  }
}

interface Varint {
  readonly value: number;
  readonly end: number;
}

function readVarint(source: ByteSource, start: number, limit: number): Varint {
  let value = 0;
  let scale = 1;
  let exact = 0n;
  for (let index = 0; index < 10; index += 1) {
    const byte = start + index < limit ? source.byteAt(start + index) : -1;
    if (byte < 0) throw new ProtoFault(start, 'ends inside a number.');
    value += (byte & 0x7f) * scale;
    scale *= 128;
    // From the eighth byte on, a double is too short.
    if (index === 7) exact = BigInt(value - (byte & 0x7f) * 2 ** 49);
    if (index >= 7) exact |= BigInt(byte & 0x7f) << BigInt(7 * index);
    if (byte < 0x80) {
      // The tenth byte holds bit 63: a negative number in two's complement.
      return {
        value: index < 7 ? value : Number(BigInt.asIntN(64, exact)),
        end: start + index + 1,
      };
    }
  }
  throw new ProtoFault(start, 'holds a number of more than ten bytes.');
}

/**
 * The fields of the message in `range`, one after the other.
 *
 * @throws {ProtoFault} it is cut off, or no message
 */
export function* protoFields(source: ByteSource, range: ByteRange): Generator<ProtoField> {
  const limit = range.offsetBytes + range.lengthBytes;
  let at = range.offsetBytes;
  while (at < limit) {
    const key = readVarint(source, at, limit);
    const field = Math.floor(key.value / 8);
    const wireType = key.value % 8;
    if (field < 1 || field > 0x1fffffff) throw new ProtoFault(at, 'holds a field without number.');
    const { value, content } = readContent(source, key.end, limit, wireType);
    const end = content.offsetBytes + content.lengthBytes;
    if (end > limit) {
      throw new ProtoFault(at, `field ${field} needs ${end - limit} bytes more than there are.`);
    }
    const whole = { offsetBytes: at, lengthBytes: end - at };
    yield { field, wireType: wireType as ProtoField['wireType'], value, content, whole };
    at = end;
  }
}

function readContent(source: ByteSource, at: number, limit: number, wireType: number) {
  const fixed = (lengthBytes: number) => ({ value: 0, content: { offsetBytes: at, lengthBytes } });
  if (wireType === 1) return fixed(8);
  if (wireType === 5) return fixed(4);
  if (wireType !== 0 && wireType !== 2) {
    throw new ProtoFault(at, `holds a field of the unknown wire type ${wireType}.`);
  }
  const { value, end } = readVarint(source, at, limit);
  if (wireType === 0) return { value, content: { offsetBytes: at, lengthBytes: end - at } };
  if (value < 0) throw new ProtoFault(at, 'holds a field of negative length.');
  return { value: 0, content: { offsetBytes: end, lengthBytes: value } };
}

/** A repeated integer, packed or not. */
export function readIntegers(
  source: ByteSource,
  { wireType, value, content }: ProtoField,
): number[] {
  if (wireType === 0) return [value];
  const values: number[] = [];
  const limit = content.offsetBytes + content.lengthBytes;
  for (let at = content.offsetBytes; at < limit; ) {
    const read = readVarint(source, at, limit);
    values.push(read.value);
    at = read.end;
  }
  return values;
}
