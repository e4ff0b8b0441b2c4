export interface ReferenceRope {
  /** Of each pair; numbers of a head beyond twice as many are not turned. */
  readonly inverseFrequencies: readonly number[];
  /** Multiplies cosines and sines. */
  readonly attentionFactor: number;
}

type Settings = Readonly<Record<string, unknown>>;

/**
 * The functions of `modeling_rope_utils.py`. LongRoPE's long factors are for contexts beyond the original one, here as in
 * vLLM and llama.cpp: the context that the model is served with, whatever the length of a text.
 */
export function inverseFrequenciesOf(config: Settings, dimensions: number): ReferenceRope {
  const base = Number(config.rope_theta ?? 10_000);
  const plain = Array.from(
    { length: dimensions / 2 },
    (_, i) => 1 / base ** ((2 * i) / dimensions),
  );
  const rope = (config.rope_scaling ?? {}) as Settings;
  const type = rope.rope_type ?? rope.type ?? 'default';
  const factor = Number(rope.factor);
  if (type === 'linear') {
    return { inverseFrequencies: plain.map((x) => x / factor), attentionFactor: 1 };
  }
  if (type === 'llama3') return { inverseFrequencies: llama3(plain, rope), attentionFactor: 1 };
  if (type === 'longrope' || type === 'su') {
    const original = Number(config.original_max_position_embeddings);
    const context = Number(config.max_position_embeddings);
    const chosen = (context > original ? rope.long_factor : rope.short_factor) as number[];
    const stretch = context / original;
    const attentionFactor =
      stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(original));
    const inverseFrequencies = plain.map((x, i) => x / (chosen[i] as number));
    return { inverseFrequencies, attentionFactor };
  }
  return { inverseFrequencies: plain, attentionFactor: 1 };
}

/** In wavelengths, as Meta's code says it. */
function llama3(plain: readonly number[], rope: Settings): number[] {
  const factor = Number(rope.factor);
  const low = Number(rope.low_freq_factor);
  const high = Number(rope.high_freq_factor);
  const original = Number(rope.original_max_position_embeddings);
  return plain.map((frequency) => {
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < original / high) return frequency;
    if (wavelength > original / low) return frequency / factor;
    const smooth = (original / wavelength - low) / (high - low);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}
