import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeFloats,
  encodeHalves,
  findNotFinite,
} from '../../../runtime/model/quantize/floats.ts';

const floatsOf = (bytes: Uint8Array, type: 'F32' | 'F16' | 'BF16', count: number) => {
  const target = new Float32Array(count);
  decodeFloats(bytes, type, target);
  return target;
};

/** By the definition of the format, not by its bits. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
}

describe('floats of the checkpoint', () => {
  test('of 16 bits are read as the formats say, all of them', () => {
    const all = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);
    const bytes = new Uint8Array(all.buffer);
    const halves = floatsOf(bytes, 'F16', all.length);
    expect([...halves]).toEqual([...all].map(halfValue));
    const brains = new Uint32Array(floatsOf(bytes, 'BF16', all.length).buffer);
    expect([...brains]).toEqual([...all].map((bits) => bits * 65_536));
  });

  test('are rounded to the nearest half, to the even one of two', () => {
    const halves = Array.from({ length: 0x7c00 }, (_, bits) => halfValue(bits));
    const nearest = (value: number) => {
      const size = Math.abs(value);
      let low = 0;
      let high = halves.length - 1;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if ((halves[middle] as number) <= size) low = middle;
        else high = middle;
      }
      const [below, above] = [size - (halves[low] as number), (halves[high] as number) - size];
      const bits = below < above || (below === above && low % 2 === 0) ? low : high;
      return bits | (value < 0 || Object.is(value, -0) ? 0x8000 : 0);
    };
    const values = fc.array(
      fc.oneof(
        fc.float({ min: -65_504, max: 65_504, noNaN: true }),
        fc.float({ min: Math.fround(-1e-4), max: Math.fround(1e-4), noNaN: true }),
        // Halfway between two.
        fc
          .integer({ min: 0, max: 0x7bfe })
          .map((at) => ((halves[at] ?? 0) + (halves[at + 1] ?? 0)) / 2),
      ),
      { maxLength: 50 },
    );
    fc.assert(
      fc.property(values, (numbers) => {
        const source = Float32Array.from(numbers);
        const target = new Uint16Array(source.length);
        expect(encodeHalves(source, source.length, target)).toBe(-1);
        expect([...target]).toEqual([...source].map(nearest));
      }),
    );
  });

  test('beyond half precision, or no numbers, are found', () => {
    for (const strange of [65_520, -1e9, Number.NaN, Number.POSITIVE_INFINITY]) {
      const source = Float32Array.of(1, 65_519, strange, 2);
      expect(encodeHalves(source, 4, new Uint16Array(4))).toBe(2);
    }
    expect(findNotFinite(Float32Array.of(3.4e38, -3.4e38, 3.4e38), 3)).toBe(-1);
    expect(findNotFinite(Float32Array.of(1, Number.NaN), 2)).toBe(1);
    expect(findNotFinite(Float32Array.of(1, 2, Number.POSITIVE_INFINITY), 3)).toBe(2);
  });
});
