import { type Problem, shorten } from '../../../sdk/errors.ts';
import type { HuggingFaceConfig, RopeParameters } from './config-document.ts';

/** Slows the rotary embedding so that a model reads further than it was first trained to. */
export type RopeScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContextTokens: number;
    }
  | {
      readonly type: 'longrope';
      /** Each pair's divisor, [rotarySize / 2]: for contexts up to the original one, and for longer ones. */
      readonly shortFactors: readonly number[];
      readonly longFactors: readonly number[];
      readonly originalContextTokens: number;
      /** Multiplies cosines and sines. */
      readonly attentionFactor: number;
    };

/** How a layer's queries and keys are turned by their position. */
export interface Rope {
  readonly theta: number;
  /** Numbers of a head that are turned, from its first on. */
  readonly rotarySize: number;
  readonly scaling?: RopeScaling;
}

export type LayerKind = 'full_attention' | 'sliding_attention';

/** The second is what Phi-3 called the first. */
const longRopeTypes = ['longrope', 'su'];
export const ropeTypes: readonly string[] = ['default', 'linear', 'llama3', ...longRopeTypes];

const typeOf = (rope: RopeParameters) => rope.rope_type ?? rope.type ?? 'default';

interface NamedRope {
  /** Its place in `config.json`. */
  readonly key: string;
  readonly type: string;
  readonly rope: RopeParameters;
}

const named = (key: string, rope: RopeParameters): NamedRope => ({ key, type: typeOf(rope), rope });

/** What `config.json` says of layers of one kind, where old and new versions of transformers write it. */
function parametersOf(raw: HuggingFaceConfig, kind: LayerKind): NamedRope {
  const { rope_parameters: recent, rope_scaling: old } = raw;
  if (recent?.[kind]) return named(`rope_parameters.${kind}`, recent[kind]);
  return recent ? named('rope_parameters', recent) : named('rope_scaling', old ?? {});
}

export const ropesOf = (raw: HuggingFaceConfig) =>
  (['full_attention', 'sliding_attention'] as const).map((kind) => parametersOf(raw, kind));

/**
 * @param local - the layers turn by `rope_local_base_freq`, unscaled, unless they have parameters of their own
 */
export function readRope(
  raw: HuggingFaceConfig,
  kind: LayerKind,
  { headSize, local }: { readonly headSize: number; readonly local: boolean },
  problems: Problem[],
): Rope {
  if (local && !raw.rope_parameters?.[kind]) {
    return { theta: raw.rope_local_base_freq ?? 10_000, rotarySize: headSize };
  }
  const { key, type, rope } = parametersOf(raw, kind);
  const part = rope.partial_rotary_factor ?? raw.partial_rotary_factor ?? 1;
  const rotarySize = part === 1 ? headSize : Math.floor(headSize * part);
  // The attention operator turns a head's beginning in groups of sixteen, and its padding would lie in between.
  if (rotarySize !== headSize && (rotarySize % 16 !== 0 || headSize % 16 !== 0)) {
    problems.push({
      path: 'config.json: $.partial_rotary_factor',
      message: 'turns a part of each head that is not computed.',
      expected: 'all of a head, or a multiple of 16 numbers of a head of a multiple of 16',
      seen: `${rotarySize} of ${headSize}`,
    });
  }
  const theta = rope.rope_theta ?? raw.rope_theta ?? 10_000;
  const path = `config.json: $.${key}`;
  const scaling = readScaling(raw, rope, type, rotarySize, path, problems);
  return { theta, rotarySize, ...(scaling ? { scaling } : {}) };
}

function readScaling(
  raw: HuggingFaceConfig,
  rope: RopeParameters,
  type: string,
  rotarySize: number,
  path: string,
  problems: Problem[],
): RopeScaling | undefined {
  if (type === 'default') return undefined;
  const incomplete = (expected: string) => {
    const message = `of type '${type}' is incomplete.`;
    problems.push({ path, message, expected, seen: shorten(rope) });
    return undefined;
  };
  const { factor, low_freq_factor: low, high_freq_factor: high } = rope;
  if (type === 'linear') {
    return factor === undefined ? incomplete('factor, a number') : { type, factor };
  }
  if (type === 'llama3') {
    const original = rope.original_max_position_embeddings;
    if (!factor || !low || !high || !original || high <= low) {
      return incomplete(
        'factor, low_freq_factor < high_freq_factor and original_max_position_embeddings, all numbers',
      );
    }
    return {
      type,
      factor,
      lowFrequencyFactor: low,
      highFrequencyFactor: high,
      originalContextTokens: original,
    };
  }
  const { short_factor: shortFactors, long_factor: longFactors } = rope;
  const pairs = rotarySize / 2;
  if (shortFactors?.length !== pairs || longFactors?.length !== pairs) {
    return incomplete(`short_factor and long_factor, lists of ${pairs} numbers each`);
  }
  const named = raw.original_max_position_embeddings ?? rope.original_max_position_embeddings;
  const originalContextTokens = named ?? raw.max_position_embeddings;
  const stretch = named ? raw.max_position_embeddings / named : (factor ?? 1);
  const attentionFactor =
    rope.attention_factor ??
    (stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(originalContextTokens)));
  return { type: 'longrope', shortFactors, longFactors, originalContextTokens, attentionFactor };
}
