import { type BlockForm, blocksOf } from './weight-form.ts';

/** Smallest positive float32: a scale below it would be zero. */
const leastScale = 2 ** -149;
const leastNormal = 2 ** -126;

/**
 * Scale of a block so that no number is more than half a step from its code's value. Codes are two's complement numbers
 * about zero, one more below than above; so the side that reaches further gets the lower half, by a negative scale
 * where that is the upper one, and both ends may lie half a step outside.
 *
 * @param half - 8 for four bits, 128 for eight
 */
function scaleOf(lowest: number, highest: number, half: number): number {
  const flips = highest > -lowest;
  const wide = flips ? highest : -lowest;
  const narrow = flips ? -lowest : highest;
  const exact = Math.max(wide / (half + 0.5), narrow / (half - 0.5));
  // Where float32 has few digits left, rounding down would leave numbers outside.
  const scale =
    exact < leastNormal ? Math.ceil(exact / leastScale) * leastScale : Math.fround(exact);
  return flips ? -scale : scale;
}

/**
 * Puts rows of numbers into codes and scales, as `MatMulNBits` and `GatherBlockQuantized` read them: a code plus `half` a
 * number, four-bit ones low before high; every row begins with a block of its own.
 *
 * @param values - [rows, inputs]
 * @param codes - [rows, blocks, bytes of a block]
 * @param scales - [rows, blocks]
 * @returns the index of a block that holds a number which is not finite; -1: there is none
 */
export function quantizeRows(
  values: Float32Array,
  rows: number,
  inputs: number,
  form: BlockForm,
  codes: Uint8Array,
  scales: Float32Array,
): number {
  const { blockSize, bits } = form;
  const blocks = blocksOf(inputs, form);
  const blockBytes = (blockSize * bits) / 8;
  let block = 0;
  for (let row = 0; row < rows; row += 1) {
    for (let at = 0; at < blocks; at += 1, block += 1) {
      const start = row * inputs + at * blockSize;
      const end = Math.min(start + blockSize, (row + 1) * inputs);
      let lowest = 0;
      let highest = 0;
      // Not finite if any is not: then it is of no use, and it cannot overflow else.
      let sum = 0;
      for (let i = start; i < end; i += 1) {
        const value = values[i] as number;
        sum += value;
        if (value < lowest) lowest = value;
        if (value > highest) highest = value;
      }
      if (!Number.isFinite(sum)) return block;
      const scale = scaleOf(lowest, highest, bits === 4 ? 8 : 128);
      scales[block] = scale;
      const inverse = scale === 0 ? 0 : 1 / scale;
      if (bits === 4) packFours(values, start, end, inverse, codes, block * blockBytes, blockBytes);
      else packEights(values, start, end, inverse, codes, block * blockBytes, blockBytes);
    }
  }
  return -1;
}

/** What rounds down to the nearest code: a half, and what makes every code positive. */
const fourOffset = 8.5;
const eightOffset = 128.5;

function packFours(
  values: Float32Array,
  start: number,
  end: number,
  inverse: number,
  codes: Uint8Array,
  target: number,
  blockBytes: number,
): void {
  let to = target;
  let i = start;
  for (; i + 1 < end; i += 2, to += 1) {
    const low = Math.min(15, ((values[i] as number) * inverse + fourOffset) | 0);
    const high = Math.min(15, ((values[i + 1] as number) * inverse + fourOffset) | 0);
    codes[to] = low | (high << 4);
  }
  if (i < end) {
    codes[to] = Math.min(15, ((values[i] as number) * inverse + fourOffset) | 0) | 0x80;
    to += 1;
  }
  codes.fill(0x88, to, target + blockBytes);
}

function packEights(
  values: Float32Array,
  start: number,
  end: number,
  inverse: number,
  codes: Uint8Array,
  target: number,
  blockBytes: number,
): void {
  let to = target;
  for (let i = start; i < end; i += 1, to += 1) {
    codes[to] = Math.min(255, ((values[i] as number) * inverse + eightOffset) | 0);
  }
  codes.fill(0x80, to, target + blockBytes);
}
