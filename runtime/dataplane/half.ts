// IEEE 754 binary16. Node 20 has no Float16Array.

/** The largest fp32 value whose nearest half is finite lies below this. */
export const halfLimit = 65_520;

const scratch = new ArrayBuffer(4);
const scratchFloat = new Float32Array(scratch);
const scratchBits = new Uint32Array(scratch);

/** 2^-14, the least normal half, as fp32 bits. */
const leastNormal = 0x38800000;
/** 65520 as fp32 bits: from here on the nearest half is infinite. */
const overflow = 0x477ff000;
const infinite = 0x7f800000;

/** @param bits - of an fp32 @returns bits of the nearest half, ties to even; a NaN stays one */
export function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= overflow) return sign | (magnitude > infinite ? 0x7e00 : 0x7c00);
  if (magnitude < leastNormal) {
    // At 0.5 the last place of an fp32 is the least half: the sum rounds as the half would.
    scratchBits[0] = magnitude;
    scratchFloat[0] = (scratchFloat[0] ?? 0) + 0.5;
    return sign | ((scratchBits[0] ?? 0) - 0x3f000000);
  }
  const odd = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13);
}

/** @returns the value of a half, exactly */
export function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

let table: Float32Array | undefined;

/** Every half as fp32: 256 KB, made when the first is needed. */
export function halfTable(): Float32Array {
  table ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => halfValue(half));
  return table;
}
