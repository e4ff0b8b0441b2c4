import type { LlamaConfig } from '../config.ts';

/**
 * Angle per position of each pair of a head's numbers.
 *
 * @returns [headSize / 2], in radians per position
 * @see https://arxiv.org/abs/2104.09864; the scaling is that of Llama 3.1's `apply_scaling`
 */
export function inverseFrequencies(config: LlamaConfig): number[] {
  const { headSize, ropeTheta, ropeScaling } = config;
  const plain = Array.from(
    { length: headSize / 2 },
    (_, pair) => ropeTheta ** -((2 * pair) / headSize),
  );
  if (!ropeScaling) return plain;
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContextTokens } = ropeScaling;
  return plain.map((frequency) => {
    const turnsInContext = (originalContextTokens * frequency) / (2 * Math.PI);
    if (turnsInContext > highFrequencyFactor) return frequency;
    if (turnsInContext < lowFrequencyFactor) return frequency / factor;
    const smooth =
      (turnsInContext - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return (1 - smooth) * (frequency / factor) + smooth * frequency;
  });
}
