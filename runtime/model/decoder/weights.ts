import type { DecoderConfig } from './config.ts';

/** A tensor a checkpoint must hold, with the shape it must have. */
export interface RequiredTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A linear map: rows of a checkpoint's tensor, which lies as [outputs, inputs], and a bias added to each output. */
export interface Projection {
  /** Hugging Face's name of it, also where its rows lie in a tensor with others'. Unique in a model but for tied tables. */
  readonly name: string;
  readonly tensor: string;
  readonly firstRow: number;
  readonly outputs: number;
  readonly inputs: number;
  /** Name of the bias's tensor. */
  readonly bias?: string;
}

export const embeddingName = 'model.embed_tokens.weight';
export const finalNormName = 'model.norm.weight';
const headName = 'lm_head.weight';
export const headProjectionName = 'lm_head';

/** Also of norms. */
export const layerName = (layer: number, part: string) => `model.layers.${layer}.${part}.weight`;

/** Names of a layer's norms over its hidden rows, each [hiddenSize]. */
interface LayerNorms {
  readonly beforeAttention: string;
  readonly afterAttention?: string;
  readonly beforeMlp: string;
  readonly afterMlp?: string;
}

export function layerNorms({ norms }: DecoderConfig): LayerNorms {
  return norms === 'around'
    ? {
        beforeAttention: 'input_layernorm',
        afterAttention: 'post_attention_layernorm',
        beforeMlp: 'pre_feedforward_layernorm',
        afterMlp: 'post_feedforward_layernorm',
      }
    : { beforeAttention: 'input_layernorm', beforeMlp: 'post_attention_layernorm' };
}

/** Names of a layer's norms over each head's rows, each [headSize]. */
export const headNorms = { query: 'self_attn.q_norm', key: 'self_attn.k_norm' } as const;

export type LayerProjections = Readonly<
  Record<'query' | 'key' | 'value' | 'attentionOut' | 'gate' | 'up' | 'down', Projection>
>;

/** The linear maps of a layer. */
export function layerProjections(config: DecoderConfig, layer: number): LayerProjections {
  const { hiddenSize, intermediateSize, heads, keyValueHeads, headSize, biases } = config;
  const at = (part: string) => `model.layers.${layer}.${part}`;
  const apart = (part: string, outputs: number, inputs: number, hasBias: boolean): Projection => ({
    name: at(part),
    tensor: layerName(layer, part),
    firstRow: 0,
    outputs,
    inputs,
    ...(hasBias ? { bias: `${at(part)}.bias` } : {}),
  });
  /** One after the other in the rows of `fused`, where the model has it so. */
  const together = (
    fused: string,
    parts: readonly (readonly [string, number])[],
    bias: boolean,
  ) => {
    let firstRow = 0;
    return parts.map(([part, outputs]): Projection => {
      const projection = apart(part, outputs, hiddenSize, bias);
      if (!config.fusedProjections) return projection;
      const rows = { ...projection, tensor: layerName(layer, fused), firstRow };
      firstRow += outputs;
      return rows;
    });
  };
  const [query, key, value] = together(
    'self_attn.qkv_proj',
    [
      ['self_attn.q_proj', heads * headSize],
      ['self_attn.k_proj', keyValueHeads * headSize],
      ['self_attn.v_proj', keyValueHeads * headSize],
    ],
    biases.queryKeyValue,
  ) as [Projection, Projection, Projection];
  const [gate, up] = together(
    'mlp.gate_up_proj',
    [
      ['mlp.gate_proj', intermediateSize],
      ['mlp.up_proj', intermediateSize],
    ],
    biases.mlp,
  ) as [Projection, Projection];
  return {
    ...{ query, key, value, gate, up },
    attentionOut: apart('self_attn.o_proj', hiddenSize, heads * headSize, biases.attentionOut),
    down: apart('mlp.down_proj', hiddenSize, intermediateSize, biases.mlp),
  };
}

/** The table the head multiplies by: its own, or the embedding's. */
export const headProjection = (config: DecoderConfig): Projection => ({
  name: headProjectionName,
  tensor: config.tiedEmbeddings ? embeddingName : headName,
  firstRow: 0,
  outputs: config.vocabularySize,
  inputs: config.hiddenSize,
});

/** The tensors of projections, each once: those of one tensor lie in it one after the other, and fill it. */
function projectionTensors(projections: readonly Projection[]): RequiredTensor[] {
  const rows = new Map<string, RequiredTensor>();
  for (const { tensor, firstRow, outputs, inputs, bias } of projections) {
    rows.set(tensor, { name: tensor, shape: [firstRow + outputs, inputs] });
    if (bias) rows.set(bias, { name: bias, shape: [outputs] });
  }
  return [...rows.values()];
}

export function embeddingTensors(config: DecoderConfig): RequiredTensor[] {
  return [{ name: embeddingName, shape: [config.vocabularySize, config.hiddenSize] }];
}

export function layerTensors(config: DecoderConfig, layer: number): RequiredTensor[] {
  const { hiddenSize, headSize } = config;
  const norm = (size: number) => (part: string) => ({
    name: layerName(layer, part),
    shape: [size],
  });
  const { query, key, value, attentionOut, gate, up, down } = layerProjections(config, layer);
  const norms = layerNorms(config);
  const named = (...parts: (string | undefined)[]) =>
    parts.filter((part) => part !== undefined).map(norm(hiddenSize));
  return [
    ...named(norms.beforeAttention),
    ...projectionTensors([query, key, value]),
    ...(config.queryKeyNorms ? Object.values(headNorms).map(norm(headSize)) : []),
    ...projectionTensors([attentionOut]),
    ...named(norms.afterAttention, norms.beforeMlp),
    ...projectionTensors([gate, up, down]),
    ...named(norms.afterMlp),
  ];
}

export function headTensors(config: DecoderConfig): RequiredTensor[] {
  return [
    { name: finalNormName, shape: [config.hiddenSize] },
    ...projectionTensors([headProjection(config)]),
  ];
}
