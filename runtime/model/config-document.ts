import { z } from 'zod';
import { type Problem, shorten } from '../../sdk/errors.ts';

const size = z
  .number()
  .int()
  .positive()
  .max(2 ** 24);
const tokenId = z.number().int().nonnegative();
const tokenIds = z.union([tokenId, z.array(tokenId).max(1000)]).nullish();

const ropeParameters = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().min(1).optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: size.optional(),
});

/** `config.json`, as transformers writes it. */
export const huggingFaceConfig = z.looseObject({
  architectures: z.array(z.string()).min(1),
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size.max(4096),
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  max_position_embeddings: size,
  rms_norm_eps: z.number().positive().max(1).default(1e-6),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeParameters.nullish(),
  rope_parameters: ropeParameters.nullish(),
  tie_word_embeddings: z.boolean().default(false),
  hidden_act: z.string().default('silu'),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  quantization_config: z.unknown().optional(),
  eos_token_id: tokenIds,
  bos_token_id: tokenId.nullish(),
});

/** `generation_config.json`. */
export const generationConfig = z.looseObject({
  eos_token_id: tokenIds,
  bos_token_id: tokenId.nullish(),
});

export type HuggingFaceConfig = z.output<typeof huggingFaceConfig>;

/** @returns what the graph cannot compute, each with the setting that asks for it */
export function unsupportedFeatures(raw: HuggingFaceConfig): Problem[] {
  const rope = raw.rope_parameters ?? raw.rope_scaling;
  const ropeType = rope?.rope_type ?? rope?.type ?? 'default';
  const settings: [key: string, supported: boolean, expected: string, seen: unknown][] = [
    ['attention_bias', !raw.attention_bias, 'false', raw.attention_bias],
    ['mlp_bias', !raw.mlp_bias, 'false', raw.mlp_bias],
    ['hidden_act', raw.hidden_act === 'silu', "'silu'", raw.hidden_act],
    [
      'rope_scaling.rope_type',
      ['default', 'llama3'].includes(ropeType),
      "'default' or 'llama3'",
      ropeType,
    ],
    [
      'quantization_config',
      raw.quantization_config === undefined || raw.quantization_config === null,
      'none: weights in F32, F16 or BF16',
      raw.quantization_config,
    ],
  ];
  return settings
    .filter(([, supported]) => !supported)
    .map(([key, , expected, seen]) => ({
      path: `config.json: $.${key}`,
      message: 'is a feature this splitter does not compute.',
      expected,
      seen: shorten(seen),
    }));
}
