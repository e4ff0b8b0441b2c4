/** A stream of its own for each purpose: what one draws never moves another, so variants see the same arrivals. */
export function createStream(seed: number, purpose: string): () => number {
  let state = seed >>> 0;
  for (let at = 0; at < purpose.length; at += 1) {
    state = (Math.imul(state ^ purpose.charCodeAt(at), 0x9e3779b1) + 0x7f4a7c15) >>> 0;
  }
  // Mulberry32.
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Exponentially distributed. */
export const draw = (random: () => number, mean: number): number => -mean * Math.log(1 - random());
