import { type TestModel, type TestModelOptions, writeCheckpoint } from './checkpoint.ts';

type Config = TestModel['config'];
export type DecoderModel = Omit<TestModel, 'sizes'>;

/** What every small model has, before its family says otherwise. */
const common = {
  vocab_size: 51,
  hidden_size: 64,
  intermediate_size: 88,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 48,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: false,
  hidden_act: 'silu',
  eos_token_id: 2,
  bos_token_id: null,
};

const gemma = {
  ...common,
  head_dim: 24,
  tie_word_embeddings: true,
  hidden_activation: 'gelu_pytorch_tanh',
  hidden_act: 'gelu_pytorch_tanh',
  query_pre_attn_scalar: 20,
  sliding_window: 8,
  rms_norm_eps: 1e-6,
};

/** Configs as the families write them, with windows and caps so small that a dozen tokens feel them. */
export const decoderConfigs = {
  llama: { ...common, architectures: ['LlamaForCausalLM'], model_type: 'llama' },
  mistral: {
    ...common,
    architectures: ['MistralForCausalLM'],
    model_type: 'mistral',
    sliding_window: 8,
  },
  qwen2: {
    ...common,
    architectures: ['Qwen2ForCausalLM'],
    model_type: 'qwen2',
    sliding_window: 8,
    use_sliding_window: false,
    max_window_layers: 2,
  },
  qwen3: {
    ...common,
    architectures: ['Qwen3ForCausalLM'],
    model_type: 'qwen3',
    head_dim: 32,
    attention_bias: false,
    use_sliding_window: false,
  },
  phi3: {
    ...common,
    architectures: ['Phi3ForCausalLM'],
    model_type: 'phi3',
    sliding_window: 11,
    original_max_position_embeddings: 48,
  },
  gemma2: {
    ...gemma,
    architectures: ['Gemma2ForCausalLM'],
    model_type: 'gemma2',
    attn_logit_softcapping: 1.5,
    final_logit_softcapping: 2,
  },
  gemma3: {
    ...gemma,
    architectures: ['Gemma3ForCausalLM'],
    model_type: 'gemma3_text',
    sliding_window_pattern: 3,
    rope_theta: 1_000_000,
    rope_local_base_freq: 10_000,
    rope_scaling: { rope_type: 'linear', factor: 8 },
  },
} as const satisfies Record<string, Config>;
export type DecoderFamily = keyof typeof decoderConfigs;

type Shape = readonly [name: string, shape: readonly number[]];

/** Tensors that the family's checkpoint holds, listed by hand and not by the product. */
function shapesOf(config: Config): Shape[] {
  const hidden = Number(config.hidden_size);
  const vocabulary = Number(config.vocab_size);
  const layers = Array.from({ length: Number(config.num_hidden_layers) }, (_, layer) =>
    layerShapes(config).map(([part, shape]): Shape => [`model.layers.${layer}.${part}`, shape]),
  );
  return [
    ['model.embed_tokens.weight', [vocabulary, hidden]],
    ...layers.flat(),
    ['model.norm.weight', [hidden]],
    ...(config.tie_word_embeddings
      ? []
      : [['lm_head.weight', [vocabulary, hidden]] satisfies Shape]),
  ];
}

function layerShapes(config: Config): Shape[] {
  const type = String(config.model_type);
  const hidden = Number(config.hidden_size);
  const wide = Number(config.intermediate_size);
  const heads = Number(config.num_attention_heads);
  const head = Number(config.head_dim ?? hidden / heads);
  const queries = heads * head;
  const keys = Number(config.num_key_value_heads) * head;
  const isGemma = type.startsWith('gemma');
  const norms = isGemma
    ? ['input', 'post_attention', 'pre_feedforward', 'post_feedforward']
    : ['input', 'post_attention'];
  const shapes: Shape[] = norms.map((name) => [`${name}_layernorm.weight`, [hidden]]);
  const linear = (part: string, outputs: number, inputs: number, bias = false) => {
    shapes.push([`${part}.weight`, [outputs, inputs]]);
    if (bias) shapes.push([`${part}.bias`, [outputs]]);
  };
  const allBiases = config.attention_bias === true;
  if (type === 'phi3') {
    linear('self_attn.qkv_proj', queries + 2 * keys, hidden);
    linear('mlp.gate_up_proj', 2 * wide, hidden);
  } else {
    const biases = allBiases || type === 'qwen2';
    linear('self_attn.q_proj', queries, hidden, biases);
    linear('self_attn.k_proj', keys, hidden, biases);
    linear('self_attn.v_proj', keys, hidden, biases);
    linear('mlp.gate_proj', wide, hidden, config.mlp_bias === true);
    linear('mlp.up_proj', wide, hidden, config.mlp_bias === true);
  }
  linear('self_attn.o_proj', hidden, queries, allBiases);
  linear('mlp.down_proj', hidden, wide, config.mlp_bias === true);
  if (type === 'qwen3' || type === 'gemma3_text') {
    shapes.push(['self_attn.q_norm.weight', [head]], ['self_attn.k_norm.weight', [head]]);
  }
  return shapes;
}

export interface DecoderModelOptions extends Pick<TestModelOptions, 'seed' | 'dtype' | 'files'> {
  readonly family: DecoderFamily;
  /** Over the family's own. */
  readonly config?: Config;
}

/** Writes a small random checkpoint of a family. */
export async function writeDecoderModel(
  folder: string,
  { family, config: changes, ...options }: DecoderModelOptions,
): Promise<DecoderModel> {
  const config: Config = { ...decoderConfigs[family], ...changes };
  return writeCheckpoint(folder, config, shapesOf(config), options);
}
