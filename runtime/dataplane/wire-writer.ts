/** Writes protobuf fields into one reused buffer. Proto3: a zero, an empty string, an empty list is not written. */
export interface WireWriter {
  readonly length: number;
  reset(): void;
  /** A varint field. @throws {RangeError} not an integer from 0 to 2^32 - 1 */
  uint(field: number, value: number): void;
  text(field: number, value: string, byteLength: number): void;
  /** A packed list of varints. @throws {RangeError} not integers from 0 to 2^53 - 1 */
  packed(field: number, values: readonly number[]): void;
  /** A length and so many zero bytes. */
  zeroes(count: number): void;
  raw(byte: number): void;
  varint(value: number): void;
  /** Bytes a varint takes. */
  sizeOf(value: number): number;
  /** A view, valid until the next `reset`. */
  written(): Buffer;
}

export function createWireWriter(capacityBytes: number): WireWriter {
  const buffer = Buffer.alloc(capacityBytes);
  let length = 0;

  const varint = (value: number) => {
    let rest = value;
    // Beyond 2^32 bit operators no longer work.
    while (rest >= 0x80) {
      buffer[length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    buffer[length++] = rest;
  };
  const sizeOf = (value: number) => {
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1;
    return size;
  };
  const assertUint = (value: number, max: number) => {
    if (!Number.isInteger(value) || value < 0 || value > max) {
      throw new RangeError(`${value} does not fit an unsigned field of a frame`);
    }
  };

  return {
    get length() {
      return length;
    },
    reset() {
      length = 0;
    },
    uint(field, value) {
      if (value === 0) return;
      assertUint(value, 2 ** 32 - 1);
      buffer[length++] = field << 3;
      varint(value);
    },
    text(field, value, byteLength) {
      if (byteLength === 0) return;
      buffer[length++] = (field << 3) | 2;
      varint(byteLength);
      length += buffer.write(value, length);
    },
    packed(field, values) {
      if (values.length === 0) return;
      let size = 0;
      for (const value of values) {
        assertUint(value, Number.MAX_SAFE_INTEGER);
        size += sizeOf(value);
      }
      buffer[length++] = (field << 3) | 2;
      varint(size);
      for (const value of values) varint(value);
    },
    zeroes(count) {
      varint(count);
      buffer.fill(0, length, length + count);
      length += count;
    },
    raw(byte) {
      buffer[length++] = byte;
    },
    varint,
    sizeOf,
    written: () => buffer.subarray(0, length),
  };
}
