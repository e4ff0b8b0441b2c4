import type { GraphBuilder } from '../onnx/graph-builder.ts';
import type { Rope } from './rope.ts';

/**
 * Angle per position of each pair of a head's numbers.
 *
 * @param contextTokens - longest text; LongRoPE has other angles beyond the context it was first trained to
 * @returns [rotarySize / 2], in radians per position
 * @see https://arxiv.org/abs/2104.09864; the scaling is that of Llama 3.1's `apply_scaling` and https://arxiv.org/abs/2402.13753
 */
export function inverseFrequencies(rope: Rope, contextTokens: number): number[] {
  const { rotarySize, theta, scaling } = rope;
  const plain = Array.from(
    { length: rotarySize / 2 },
    (_, pair) => theta ** -((2 * pair) / rotarySize),
  );
  if (!scaling) return plain;
  if (scaling.type === 'linear') return plain.map((frequency) => frequency / scaling.factor);
  if (scaling.type === 'longrope') {
    const isLong = contextTokens > scaling.originalContextTokens;
    const factors = isLong ? scaling.longFactors : scaling.shortFactors;
    return plain.map((frequency, pair) => frequency / (factors[pair] ?? 1));
  }
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContextTokens } = scaling;
  return plain.map((frequency) => {
    const turnsInContext = (originalContextTokens * frequency) / (2 * Math.PI);
    if (turnsInContext > highFrequencyFactor) return frequency;
    if (turnsInContext < lowFrequencyFactor) return frequency / factor;
    const smooth =
      (turnsInContext - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return (1 - smooth) * (frequency / factor) + smooth * frequency;
  });
}

export type RotaryTables = readonly [cos: string, sin: string];

export interface RotaryTableOptions {
  readonly contextTokens: number;
  /** Numbers of a row, at least those that are turned. */
  readonly pairs: number;
  /** Of the names of the tables, where a graph has several. */
  readonly suffix: string;
}

/**
 * Cosines and sines of every position, [contextTokens, pairs]. Computed in the graph, in float32 as PyTorch does:
 * ONNX Runtime folds it at load, and the file stays kilobytes.
 */
export function addRotaryTables(
  graph: GraphBuilder,
  rope: Rope,
  { contextTokens, pairs, suffix }: RotaryTableOptions,
): RotaryTables {
  const frequencies = inverseFrequencies(rope, contextTokens);
  // Zeros that fill up a head are turned by no angle.
  const filling = Array(pairs - frequencies.length).fill(0);
  const named = (name: string) => `${name}${suffix}`;
  const positions = graph.value('Range', named('positions'), [
    graph.scalar('position_first', 0),
    graph.scalar('position_end', contextTokens),
    graph.scalar('position_step', 1),
  ]);
  const column = graph.value('Unsqueeze', named('position_column'), [
    positions,
    graph.integers('column_axis', [1]),
  ]);
  const angles = graph.value('Mul', named('angles'), [
    column,
    graph.floats(named('inverse_frequencies'), [...frequencies, ...filling]),
  ]);
  const table = (operator: 'Cos' | 'Sin', name: string) => {
    const values = graph.value(operator, named(name), [angles]);
    const factor = rope.scaling?.type === 'longrope' ? rope.scaling.attentionFactor : 1;
    if (factor === 1) return values;
    const scale = graph.scalar(named('attention_factor'), factor);
    return graph.value('Mul', `${values}_scaled`, [values, scale]);
  };
  return [table('Cos', 'cos'), table('Sin', 'sin')];
}
