const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9;
const weyl1 = 0xbb67ae85;

/** Upper 32 bits of a 32 × 32 bit product. */
function multiplyHigh(a: number, b: number): number {
  const [aHigh, aLow] = [a >>> 16, a & 0xffff];
  const [bHigh, bLow] = [b >>> 16, b & 0xffff];
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle % 0x10000);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}

/**
 * Philox4x32-10: a random block that depends on its key and counter alone, so there is no state to keep or to lose.
 *
 * @see Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (2011)
 */
export function philox(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(multiplier0, c0);
    const low0 = Math.imul(multiplier0, c0) >>> 0;
    const high1 = multiplyHigh(multiplier1, c2);
    const low1 = Math.imul(multiplier1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + weyl0) >>> 0;
    k1 = (k1 + weyl1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/**
 * @param seed - integer, 0 to 2^53 - 1
 * @param position - of the token to be drawn
 * @returns a number in [0, 1) with 53 random bits; the same for the same seed and position, on every machine
 */
export function uniformAt(seed: number, position: number): number {
  const [a, b] = philox(
    [position >>> 0, Math.floor(position / 2 ** 32), 0, 0],
    [seed >>> 0, Math.floor(seed / 2 ** 32)],
  );
  return ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53;
}
