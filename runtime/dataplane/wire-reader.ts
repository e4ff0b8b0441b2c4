import { DataPlaneError } from '../../sdk/errors.ts';

/** Reads protobuf fields from one message; every fault is FRAME_MALFORMED with the offset where it lies. */
export interface WireReader {
  readonly more: boolean;
  readonly offset: number;
  /** @returns the field's number; what follows reads its value */
  tag(): number;
  /** A varint field of at most `max`. */
  uint(max: number): number;
  text(maxBytes: number): string;
  /** A view of the message. */
  bytes(): Uint8Array;
  /** Appends a list's values, packed or one by one. */
  repeated(into: number[], maxCount: number, max: number): void;
  skip(): void;
  malformed(seen: string, expected: string, offset?: number): DataPlaneError;
}

const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** @param session - the session as far as it is known, for messages */
export function createWireReader(message: Uint8Array, session: () => string): WireReader {
  let offset = 0;
  let wireType = 0;

  const malformed = (seen: string, expected: string, at = offset) =>
    new DataPlaneError(
      'FRAME_MALFORMED',
      `session '${session()}': malformed frame at byte ${at} of ${message.byteLength}: expected ${expected}, got ${seen}.`,
      { details: { session: session(), offset: at } },
    );

  const varint = (max: number): number => {
    const start = offset;
    let value = 0;
    let scale = 1;
    for (let index = 0; index < 10; index += 1) {
      const byte = message[offset];
      if (byte === undefined) throw malformed('the end', 'more bytes of a number');
      offset += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > max) throw malformed(`${value}`, `a number up to ${max}`, start);
        return value;
      }
      scale *= 0x80;
    }
    throw malformed('a number of more than 10 bytes', 'at most 10', start);
  };
  const expectType = (expected: number, what: string) => {
    if (wireType !== expected) throw malformed(`wire type ${wireType}`, what);
  };
  const take = (length: number): Uint8Array => {
    if (length > message.byteLength - offset) {
      throw malformed(
        `a length of ${length} bytes`,
        `at most the ${message.byteLength - offset} bytes that are left`,
      );
    }
    const view = message.subarray(offset, offset + length);
    offset += length;
    return view;
  };

  return {
    get more() {
      return offset < message.byteLength;
    },
    get offset() {
      return offset;
    },
    tag() {
      const start = offset;
      const tag = varint(2 ** 32 - 1);
      wireType = tag % 8;
      const field = Math.floor(tag / 8);
      if (field === 0) throw malformed('field number 0', 'a field number from 1', start);
      return field;
    },
    uint(max) {
      expectType(wireTypes.varint, 'a number');
      return varint(max);
    },
    text(maxBytes) {
      expectType(wireTypes.bytes, 'text');
      const start = offset;
      const length = varint(2 ** 32 - 1);
      if (length > maxBytes) {
        throw malformed(`text of ${length} bytes`, `at most ${maxBytes}`, start);
      }
      try {
        return utf8.decode(take(length));
      } catch (error) {
        if (error instanceof DataPlaneError) throw error;
        throw malformed('bytes that are not UTF-8', 'UTF-8 text', start);
      }
    },
    bytes() {
      expectType(wireTypes.bytes, 'bytes');
      return take(varint(2 ** 32 - 1));
    },
    repeated(into, maxCount, max) {
      const start = offset;
      const push = () => {
        into.push(varint(max));
        if (into.length > maxCount) {
          throw malformed('a longer list', `at most ${maxCount} values`, start);
        }
      };
      if (wireType === wireTypes.varint) return push();
      expectType(wireTypes.bytes, 'a list of numbers');
      const length = varint(2 ** 32 - 1);
      if (length > message.byteLength - offset) {
        throw malformed(`a list of ${length} bytes`, 'at most the bytes that are left', start);
      }
      const end = offset + length;
      while (offset < end) push();
      if (offset !== end) throw malformed('a number across the end of its list', 'whole numbers');
    },
    skip() {
      if (wireType === wireTypes.varint) varint(Number.POSITIVE_INFINITY);
      else if (wireType === wireTypes.bytes) take(varint(2 ** 32 - 1));
      else if (wireType === wireTypes.fixed64) take(8);
      else if (wireType === wireTypes.fixed32) take(4);
      else throw malformed(`wire type ${wireType}`, 'wire type 0, 1, 2 or 5');
    },
    malformed,
  };
}
