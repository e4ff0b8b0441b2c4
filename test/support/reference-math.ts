import type { ReferenceRope } from './reference-rope.ts';

export type Vector = Float64Array;

export const add = (a: Vector, b: Vector): Vector => a.map((value, i) => value + (b[i] as number));

export const dot = (a: Vector, b: Vector): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

export function softmax(scores: readonly number[]): number[] {
  const highest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** Turns the pairs (i, i + half) of the turned part of one head by an angle that grows with the position. */
export function rotate(head: Vector, position: number, rope: ReferenceRope): Vector {
  const half = rope.inverseFrequencies.length;
  const turned = head.slice();
  for (let i = 0; i < half; i += 1) {
    const angle = position * (rope.inverseFrequencies[i] as number);
    const cos = Math.cos(angle) * rope.attentionFactor;
    const sin = Math.sin(angle) * rope.attentionFactor;
    const x = head[i] as number;
    const y = head[half + i] as number;
    turned[i] = x * cos - y * sin;
    turned[half + i] = y * cos + x * sin;
  }
  return turned;
}

/** The largest difference of two rows. */
export const largestGap = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((gap, value, i) => Math.max(gap, Math.abs(value - (b[i] as number))), 0);

/** Logarithms of the probabilities that logits mean. */
export function logProbabilities(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const best = Math.max(...values);
  const total = best + Math.log(values.reduce((sum, logit) => sum + Math.exp(logit - best), 0));
  return values.map((logit) => logit - total);
}
