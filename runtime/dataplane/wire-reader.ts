import { DataPlaneError } from '../../sdk/errors.ts';

const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;
const maxUint32 = 2 ** 32 - 1;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Reads protobuf fields from one message; every fault is FRAME_MALFORMED with the offset where it lies. */
export class WireReader {
  readonly #message: Uint8Array;
  #offset = 0;
  #wireType = 0;
  /** The session as far as it is known: every fault names it. */
  session = '';

  constructor(message: Uint8Array) {
    this.#message = message;
  }

  get more(): boolean {
    return this.#offset < this.#message.byteLength;
  }

  get offset(): number {
    return this.#offset;
  }

  /** @returns the field's number; what follows reads its value */
  tag(): number {
    const start = this.#offset;
    const tag = this.#varint(maxUint32);
    this.#wireType = tag % 8;
    const field = Math.floor(tag / 8);
    if (field === 0) throw this.malformed('field number 0', 'a field number from 1', start);
    return field;
  }

  /** A varint field of at most `max`. */
  uint(max: number): number {
    this.#expectType(wireTypes.varint, 'a number');
    return this.#varint(max);
  }

  text(maxBytes: number): string {
    this.#expectType(wireTypes.bytes, 'text');
    const start = this.#offset;
    const length = this.#varint(maxUint32);
    if (length > maxBytes) {
      throw this.malformed(`text of ${length} bytes`, `at most ${maxBytes}`, start);
    }
    const bytes = this.#take(length);
    // Ids are ASCII: this is several times faster than a decoder for them.
    let ascii = '';
    for (const byte of bytes) {
      if (byte >= 0x80) return this.#utf8(bytes, start);
      ascii += String.fromCharCode(byte);
    }
    return ascii;
  }

  #utf8(bytes: Uint8Array, start: number): string {
    try {
      return utf8.decode(bytes);
    } catch {
      throw this.malformed('bytes that are not UTF-8', 'UTF-8 text', start);
    }
  }

  /** A view of the message. */
  bytes(): Uint8Array {
    this.#expectType(wireTypes.bytes, 'bytes');
    return this.#take(this.#varint(maxUint32));
  }

  /** Appends a list's values, packed or one by one. */
  repeated(into: number[], maxCount: number, max: number): void {
    const start = this.#offset;
    if (this.#wireType === wireTypes.varint) {
      this.#append(into, maxCount, max, start);
      return;
    }
    this.#expectType(wireTypes.bytes, 'a list of numbers');
    const length = this.#varint(maxUint32);
    const end = this.#offset + length;
    if (end > this.#message.byteLength) {
      throw this.malformed(`a list of ${length} bytes`, 'at most the bytes that are left', start);
    }
    while (this.#offset < end) this.#append(into, maxCount, max, start);
    if (this.#offset !== end) {
      throw this.malformed('a number across the end of its list', 'whole numbers');
    }
  }

  skip(): void {
    switch (this.#wireType) {
      case wireTypes.varint:
        this.#varint(Number.POSITIVE_INFINITY);
        break;
      case wireTypes.bytes:
        this.#take(this.#varint(maxUint32));
        break;
      case wireTypes.fixed64:
        this.#take(8);
        break;
      case wireTypes.fixed32:
        this.#take(4);
        break;
      default:
        throw this.malformed(`wire type ${this.#wireType}`, 'wire type 0, 1, 2 or 5');
    }
  }

  malformed(seen: string, expected: string, at = this.#offset): DataPlaneError {
    return new DataPlaneError(
      'FRAME_MALFORMED',
      `session '${this.session}': malformed frame at byte ${at} of ${this.#message.byteLength}: expected ${expected}, got ${seen}.`,
      { details: { session: this.session, offset: at } },
    );
  }

  #varint(max: number): number {
    const start = this.#offset;
    let value = 0;
    let scale = 1;
    for (let index = 0; index < 10; index += 1) {
      const byte = this.#message[this.#offset];
      if (byte === undefined) throw this.malformed('the end', 'more bytes of a number');
      this.#offset += 1;
      // Beyond 2^32 bit operators no longer work.
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > max) throw this.malformed(`${value}`, `a number up to ${max}`, start);
        return value;
      }
      scale *= 0x80;
    }
    throw this.malformed('a number of more than 10 bytes', 'at most 10', start);
  }

  #append(into: number[], maxCount: number, max: number, start: number): void {
    into.push(this.#varint(max));
    if (into.length > maxCount) {
      throw this.malformed('a longer list', `at most ${maxCount} values`, start);
    }
  }

  #take(length: number): Uint8Array {
    const left = this.#message.byteLength - this.#offset;
    if (length > left) {
      throw this.malformed(
        `a length of ${length} bytes`,
        `at most the ${left} bytes that are left`,
      );
    }
    const { buffer, byteOffset } = this.#message;
    const view = new Uint8Array(buffer, byteOffset + this.#offset, length);
    this.#offset += length;
    return view;
  }

  #expectType(expected: number, what: string): void {
    if (this.#wireType !== expected) throw this.malformed(`wire type ${this.#wireType}`, what);
  }
}
