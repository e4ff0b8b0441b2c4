/** A stored block: `bits` a code, low before high in a byte, a code's middle value is zero. */
export interface StoredBlocks {
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
  readonly rows: number;
  readonly inputs: number;
  readonly bits: number;
  readonly blockSize: number;
}

/**
 * What blocks stand for, number by number in double precision, as the operators' manual says. Shares nothing with the
 * product.
 */
export function dequantize(stored: StoredBlocks): Float64Array {
  const { codes, scales, rows, inputs, bits, blockSize } = stored;
  const blocks = Math.ceil(inputs / blockSize);
  const values = new Float64Array(rows * inputs);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < inputs; column += 1) {
      const block = row * blocks + Math.floor(column / blockSize);
      const index = block * blockSize + (column % blockSize);
      const bit = index * bits;
      const code = ((codes[bit >> 3] as number) >> (bit & 7)) & (2 ** bits - 1);
      values[row * inputs + column] = (code - 2 ** (bits - 1)) * (scales[block] as number);
    }
  }
  return values;
}
