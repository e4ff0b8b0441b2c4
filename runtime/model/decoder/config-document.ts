import { z } from 'zod';

const size = z
  .number()
  .int()
  .positive()
  .max(2 ** 24);
const tokenId = z.number().int().nonnegative();
const tokenIds = z.union([tokenId, z.array(tokenId).max(1000)]).nullish();
const fraction = z.number().positive().max(1).nullish();
const factors = z.array(z.number().positive()).max(4096);

/** How positions turn queries and keys. */
const ropeParameters = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  partial_rotary_factor: fraction,
  factor: z.number().min(1).optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: size.optional(),
  short_factor: factors.optional(),
  long_factor: factors.optional(),
  attention_factor: z.number().positive().nullish(),
});
export type RopeParameters = z.output<typeof ropeParameters>;

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
  original_max_position_embeddings: size.nullish(),
  rms_norm_eps: z.number().positive().max(1).default(1e-6),
  rope_theta: z.number().positive().nullish(),
  rope_local_base_freq: z.number().positive().nullish(),
  rope_scaling: ropeParameters.nullish(),
  /** One for all layers, or one for each of their kinds. */
  rope_parameters: ropeParameters
    .extend({
      full_attention: ropeParameters.optional(),
      sliding_attention: ropeParameters.optional(),
    })
    .nullish(),
  partial_rotary_factor: fraction,
  tie_word_embeddings: z.boolean().default(false),
  hidden_act: z.string().default('silu'),
  hidden_activation: z.string().nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  sliding_window: size.nullish(),
  use_sliding_window: z.boolean().nullish(),
  max_window_layers: z.number().int().nonnegative().nullish(),
  sliding_window_pattern: size.nullish(),
  _sliding_window_pattern: size.nullish(),
  layer_types: z.array(z.string()).max(4096).nullish(),
  query_pre_attn_scalar: z.number().positive().nullish(),
  attn_logit_softcapping: z.number().positive().nullish(),
  final_logit_softcapping: z.number().positive().nullish(),
  use_bidirectional_attention: z.unknown().optional(),
  quantization_config: z.unknown().optional(),
  eos_token_id: tokenIds,
  bos_token_id: tokenId.nullish(),
});
export type HuggingFaceConfig = z.output<typeof huggingFaceConfig>;

/** `generation_config.json`. */
export const generationConfig = z.looseObject({
  eos_token_id: tokenIds,
  bos_token_id: tokenId.nullish(),
});
