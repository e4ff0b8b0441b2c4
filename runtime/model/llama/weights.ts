import type { LlamaConfig } from '../config.ts';

/** A tensor a checkpoint must hold, with the shape it must have. */
export interface RequiredTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

export const embeddingName = 'model.embed_tokens.weight';
export const finalNormName = 'model.norm.weight';

/** The table the head multiplies by: its own, or the embedding's. */
export const headName = (config: LlamaConfig) =>
  config.tiedEmbeddings ? embeddingName : 'lm_head.weight';

export const layerName = (layer: number, part: string) => `model.layers.${layer}.${part}.weight`;

export function embeddingTensors(config: LlamaConfig): RequiredTensor[] {
  return [{ name: embeddingName, shape: [config.vocabularySize, config.hiddenSize] }];
}

/** Linear weights lie as [outputs, inputs]. */
export function layerTensors(config: LlamaConfig, layer: number): RequiredTensor[] {
  const { hiddenSize, intermediateSize, heads, keyValueHeads, headSize } = config;
  const shapes: Record<string, readonly number[]> = {
    input_layernorm: [hiddenSize],
    'self_attn.q_proj': [heads * headSize, hiddenSize],
    'self_attn.k_proj': [keyValueHeads * headSize, hiddenSize],
    'self_attn.v_proj': [keyValueHeads * headSize, hiddenSize],
    'self_attn.o_proj': [hiddenSize, heads * headSize],
    post_attention_layernorm: [hiddenSize],
    'mlp.gate_proj': [intermediateSize, hiddenSize],
    'mlp.up_proj': [intermediateSize, hiddenSize],
    'mlp.down_proj': [hiddenSize, intermediateSize],
  };
  return Object.entries(shapes).map(([part, shape]) => ({ name: layerName(layer, part), shape }));
}

export function headTensors(config: LlamaConfig): RequiredTensor[] {
  return [
    { name: finalNormName, shape: [config.hiddenSize] },
    { name: headName(config), shape: [config.vocabularySize, config.hiddenSize] },
  ];
}

/** Consecutive layers, with the model's ends where they belong. */
export interface StageRange {
  readonly firstLayer: number;
  /** Inclusive. */
  readonly lastLayer: number;
  readonly hasEmbedding: boolean;
  readonly hasHead: boolean;
}

/** The stages that begin at `firstLayers`: ascending, the first of them 0. */
export function stageRanges(config: LlamaConfig, firstLayers: readonly number[]): StageRange[] {
  return firstLayers.map((firstLayer, index) => ({
    firstLayer,
    lastLayer: (firstLayers[index + 1] ?? config.layerCount) - 1,
    hasEmbedding: index === 0,
    hasHead: index === firstLayers.length - 1,
  }));
}

/** Tensors of one stage, each once, in the order they are used. */
export function stageTensorsOf(config: LlamaConfig, range: StageRange): RequiredTensor[] {
  const tensors = range.hasEmbedding ? embeddingTensors(config) : [];
  for (let layer = range.firstLayer; layer <= range.lastLayer; layer += 1) {
    tensors.push(...layerTensors(config, layer));
  }
  if (range.hasHead) tensors.push(...headTensors(config));
  return [...new Map(tensors.map((tensor) => [tensor.name, tensor])).values()];
}
