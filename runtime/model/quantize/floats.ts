/** Types that a checkpoint's weights may have, and the bytes of a number. */
export const floatBytes = { F32: 4, F16: 2, BF16: 2 } as const;
export type FloatType = keyof typeof floatBytes;

let halves: Float32Array | undefined;

/** The value of each pattern of 16 bits. */
function valuesOfHalves(): Float32Array {
  if (halves) return halves;
  const table = new Float32Array(65_536);
  for (let bits = 0; bits < table.length; bits += 1) {
    const exponent = (bits >>> 10) & 31;
    const fraction = bits & 1023;
    const magnitude =
      exponent === 31
        ? fraction === 0
          ? Number.POSITIVE_INFINITY
          : Number.NaN
        : exponent === 0
          ? fraction * 2 ** -24
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
    table[bits] = bits & 0x8000 ? -magnitude : magnitude;
  }
  halves = table;
  return table;
}

/**
 * @param bytes - little-endian, aligned to a number
 * @param target - as many numbers; may lie over `bytes` for F32
 */
export function decodeFloats(bytes: Uint8Array, type: FloatType, target: Float32Array): void {
  const count = bytes.byteLength / floatBytes[type];
  if (type === 'F32') {
    target.set(new Float32Array(bytes.buffer, bytes.byteOffset, count));
    return;
  }
  const source = new Uint16Array(bytes.buffer, bytes.byteOffset, count);
  if (type === 'BF16') {
    const bits = new Uint32Array(target.buffer, target.byteOffset, count);
    for (let i = 0; i < count; i += 1) bits[i] = (source[i] as number) << 16;
    return;
  }
  const values = valuesOfHalves();
  for (let i = 0; i < count; i += 1) target[i] = values[source[i] as number] as number;
}

/** Finds a number that is no number, or none that is finite. @returns its index, or -1 */
export function findNotFinite(values: Float32Array, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i += 1) sum += (values[i] as number) * 0;
  if (sum === 0) return -1;
  return values.subarray(0, count).findIndex((value) => !Number.isFinite(value));
}

/**
 * Rounds to half precision, to the even one of two that are as near.
 *
 * @returns the index of a number that has none: too large, or not finite; -1: all have one
 */
export function encodeHalves(values: Float32Array, count: number, target: Uint16Array): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, count);
  for (let i = 0; i < count; i += 1) {
    const half = halfOf(bits[i] as number);
    if ((half & 0x7c00) === 0x7c00) return i;
    target[i] = half;
  }
  return -1;
}

/** @returns the pattern of the nearest half; of infinity where there is none */
function halfOf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  if (exponent >= 31) return sign | 0x7c00;
  if (exponent < -10) return sign;
  const isSmall = exponent <= 0;
  const fraction = isSmall ? (bits & 0x7fffff) | 0x800000 : bits & 0x7fffff;
  const shift = isSmall ? 14 - exponent : 13;
  const cut = (isSmall ? 0 : exponent << 10) | (fraction >>> shift);
  const rest = fraction & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return sign | (rest > middle || (rest === middle && (cut & 1) === 1) ? cut + 1 : cut);
}
