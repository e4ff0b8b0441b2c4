import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quantizeRows } from '../../../runtime/model/quantize/block-codes.ts';
import {
  type BlockForm,
  blockSizes,
  blocksOf,
  codeBytesOf,
} from '../../../runtime/model/quantize/weight-form.ts';
import { dequantize } from '../../support/dequantize.ts';

function quantized(values: Float32Array, rows: number, inputs: number, form: BlockForm) {
  const codes = new Uint8Array(rows * codeBytesOf(inputs, form)).fill(0xff);
  const scales = new Float32Array(rows * blocksOf(inputs, form)).fill(99);
  const bad = quantizeRows(values, rows, inputs, form, codes, scales);
  const { bits, blockSize } = form;
  return {
    bad,
    codes,
    scales,
    back: () => dequantize({ codes, scales, rows, inputs, bits, blockSize }),
  };
}

const forms = fc.record({
  type: fc.constant('blocks' as const),
  bits: fc.constantFrom(4 as const, 8 as const),
  blockSize: fc.constantFrom(...blockSizes),
});
/** Every float there is that is finite, tiny and huge ones among them, and such as weights are. */
const numbers = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.float({ min: -1, max: 1, noNaN: true }),
  fc.constantFrom(0, -0, 2 ** -149, -(2 ** -149), 3.4e38, -3.4e38),
);
const matrices = fc
  .record({ rows: fc.integer({ min: 1, max: 3 }), inputs: fc.integer({ min: 1, max: 300 }) })
  .chain(({ rows, inputs }) =>
    fc.record({
      rows: fc.constant(rows),
      inputs: fc.constant(inputs),
      values: fc
        .array(numbers, { minLength: rows * inputs, maxLength: rows * inputs })
        .map((values) => Float32Array.from(values)),
    }),
  );

describe('numbers in blocks', () => {
  test('stand for what is at most half a step away, whatever they are', () => {
    fc.assert(
      fc.property(matrices, forms, ({ values, rows, inputs }, form) => {
        const { bad, scales, back } = quantized(values, rows, inputs, form);
        expect(bad).toBe(-1);
        const blocks = blocksOf(inputs, form);
        for (const [at, value] of back().entries()) {
          const block =
            Math.floor(at / inputs) * blocks + Math.floor((at % inputs) / form.blockSize);
          const step = Math.abs(scales[block] as number);
          const original = values[at] as number;
          // The scale itself is rounded to a float32.
          const most = step / 2 + Math.abs(original) * 2 ** -23;
          expect(Math.abs(value - original)).toBeLessThanOrEqual(most);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('have the smallest step that reaches both ends', () => {
    fc.assert(
      fc.property(matrices, forms, ({ values, rows, inputs }, form) => {
        const { scales } = quantized(values, rows, inputs, form);
        const blocks = blocksOf(inputs, form);
        const half = 2 ** (form.bits - 1);
        for (const [block, scale] of scales.entries()) {
          const row = Math.floor(block / blocks);
          const from = row * inputs + (block % blocks) * form.blockSize;
          const numbers = values.subarray(
            from,
            Math.min(from + form.blockSize, (row + 1) * inputs),
          );
          const ends = [Math.max(0, ...numbers), Math.max(0, ...numbers.map((value) => -value))];
          const exact = Math.max(
            Math.max(...ends) / (half + 0.5),
            Math.min(...ends) / (half - 0.5),
          );
          expect(Math.abs(scale)).toBeLessThanOrEqual(exact * (1 + 2 ** -20) + 2 ** -149);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('of a block of zeros are zeros, and so is what fills up the last block', () => {
    for (const bits of [4, 8] as const) {
      const form: BlockForm = { type: 'blocks', bits, blockSize: 32 };
      const { codes, scales, back } = quantized(new Float32Array(2 * 37), 2, 37, form);
      expect([...back()].every((value) => value === 0)).toBe(true);
      expect([...scales].every((scale) => scale === 0)).toBe(true);
      expect(new Set(codes)).toEqual(new Set([bits === 4 ? 0x88 : 0x80]));
      const odd = quantized(
        Float32Array.from({ length: 37 }, (_, i) => i - 20),
        1,
        37,
        form,
      );
      const middle = bits === 4 ? 0x8 : 0x80;
      const last = odd.codes.at(-1) ?? 0;
      expect(bits === 4 ? [last & 15, last >> 4] : [last]).toEqual(
        bits === 4 ? [middle, middle] : [middle],
      );
    }
  });

  test('that are none are found, by their block', () => {
    for (const strange of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const values = new Float32Array(4 * 64).fill(0.5);
      values[64 + 40] = strange;
      const form: BlockForm = { type: 'blocks', bits: 4, blockSize: 32 };
      expect(quantized(values, 4, 64, form).bad).toBe(3);
    }
  });
});
