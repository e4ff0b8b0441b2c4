const text = new TextEncoder();

/** Wire types of protobuf: the low three bits of a field's key. */
const varintType = 0;
const lengthType = 2;
const fixed32Type = 5;

function varint(value: number | bigint): Uint8Array {
  // Negative numbers travel as 64-bit two's complement, ten bytes long.
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

const key = (field: number, wireType: number) => varint((field << 3) | wireType);

/** Joins encoded fields into a message. */
export function message(...fields: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(fields);
}

/** An integer field; negative numbers as int64. */
export function integer(field: number, value: number): Uint8Array {
  return message(key(field, varintType), varint(value));
}

export function float(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return message(key(field, fixed32Type), bytes);
}

/** A nested message or a `bytes` field. */
export function bytes(field: number, value: Uint8Array): Uint8Array {
  return message(key(field, lengthType), varint(value.length), value);
}

export function string(field: number, value: string): Uint8Array {
  return bytes(field, text.encode(value));
}

/** A repeated integer field, packed. */
export function packed(field: number, values: readonly number[]): Uint8Array {
  return bytes(field, message(...values.map(varint)));
}
