import type { HuggingFaceConfig } from './config-document.ts';

/** Where projections have a bias beside their weight. */
export interface Biases {
  readonly queryKeyValue: boolean;
  readonly attentionOut: boolean;
  readonly mlp: boolean;
}

/** How one architecture's layers differ from another's. All are computed by one builder. */
export interface Architecture {
  /** As people call it. */
  readonly title: string;
  /** Settings that its `config.json` may leave out, and what they are then. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** Added to the weights of a norm. */
  readonly normOffset: 0 | 1;
  /** A norm before attention and before the MLP, or also one after each. */
  readonly norms: 'before' | 'around';
  /** Whether each head's query and key is normed by itself. */
  readonly queryKeyNorms: boolean;
  /** Queries, keys and values in one tensor, gate and up in another; else each in its own. */
  readonly fusedProjections: boolean;
  readonly biases: (raw: HuggingFaceConfig) => Biases;
  /** Whether embeddings are multiplied by √hidden_size. */
  readonly scaledEmbeddings: boolean;
  /** Whether `attn_logit_softcapping` and `final_logit_softcapping` mean anything. */
  readonly softCaps: boolean;
  /** Whether `query_pre_attn_scalar` stands in the place of the head size. */
  readonly queryScalar: boolean;
  /** Tokens that a sliding layer sees, itself among them. */
  readonly window: (raw: HuggingFaceConfig) => number | null | undefined;
  /** Whether a layer slides, where `layer_types` does not say. */
  readonly slides: (layer: number, raw: HuggingFaceConfig) => boolean;
  /** Whether sliding layers turn by `rope_local_base_freq`, unscaled. */
  readonly localRope: boolean;
}

const llama: Architecture = {
  title: 'Llama 2 and 3',
  defaults: {},
  normOffset: 0,
  norms: 'before',
  queryKeyNorms: false,
  fusedProjections: false,
  biases: ({ attention_bias, mlp_bias }) => ({
    queryKeyValue: attention_bias === true,
    attentionOut: attention_bias === true,
    mlp: mlp_bias === true,
  }),
  scaledEmbeddings: false,
  softCaps: false,
  queryScalar: false,
  window: () => undefined,
  slides: () => false,
  localRope: false,
};

const noBiases = () => ({ queryKeyValue: false, attentionOut: false, mlp: false });

const mistral: Architecture = {
  ...llama,
  title: 'Mistral',
  defaults: { sliding_window: 4096 },
  biases: noBiases,
  window: (raw) => raw.sliding_window,
  slides: () => true,
};

const qwen2: Architecture = {
  ...llama,
  title: 'Qwen 2 and 2.5',
  defaults: { sliding_window: 4096 },
  biases: () => ({ queryKeyValue: true, attentionOut: false, mlp: false }),
  window: (raw) => (raw.use_sliding_window ? raw.sliding_window : undefined),
  slides: (layer, raw) => layer >= (raw.max_window_layers ?? 28),
};

const gemma2: Architecture = {
  ...llama,
  title: 'Gemma 2',
  defaults: {
    tie_word_embeddings: true,
    head_dim: 256,
    hidden_activation: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
  },
  normOffset: 1,
  norms: 'around',
  biases: ({ attention_bias }) => ({
    queryKeyValue: attention_bias === true,
    attentionOut: attention_bias === true,
    mlp: false,
  }),
  scaledEmbeddings: true,
  softCaps: true,
  queryScalar: true,
  window: (raw) => raw.sliding_window,
  slides: (layer) => layer % 2 === 0,
};

/** By the name in `architectures` of `config.json`. Another one of the same parts is one more entry. */
export const architectures: ReadonlyMap<string, Architecture> = new Map([
  ['LlamaForCausalLM', llama],
  ['MistralForCausalLM', mistral],
  ['Qwen2ForCausalLM', qwen2],
  [
    'Qwen3ForCausalLM',
    {
      ...qwen2,
      title: 'Qwen 3',
      defaults: { ...qwen2.defaults, head_dim: 128 },
      biases: (raw) => ({ ...llama.biases(raw), mlp: false }),
      queryKeyNorms: true,
    },
  ],
  [
    'Phi3ForCausalLM',
    {
      ...mistral,
      title: 'Phi-3, 3.5 and 4',
      defaults: { rms_norm_eps: 1e-5 },
      fusedProjections: true,
    },
  ],
  ['Gemma2ForCausalLM', gemma2],
  [
    'Gemma3ForCausalLM',
    {
      ...gemma2,
      title: 'Gemma 3 (text)',
      defaults: {
        ...gemma2.defaults,
        attn_logit_softcapping: null,
        final_logit_softcapping: null,
        rope_theta: 1e6,
        rope_local_base_freq: 10_000,
      },
      queryKeyNorms: true,
      slides: (layer, raw) =>
        (layer + 1) % (raw.sliding_window_pattern ?? raw._sliding_window_pattern ?? 6) !== 0,
      localRope: true,
    },
  ],
]);

export const supportedArchitectures: readonly string[] = [...architectures.keys()];
