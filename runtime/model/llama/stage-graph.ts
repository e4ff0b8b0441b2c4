import type { LlamaConfig } from '../config.ts';
import { GraphBuilder } from '../onnx/graph-builder.ts';
import type { ExternalData, OnnxType } from '../onnx/model.ts';
import { stageTensors } from '../stage.ts';
import { addAttention, cacheHeadSize } from './attention.ts';
import { inverseFrequencies } from './rotary.ts';
import {
  embeddingName,
  finalNormName,
  headName,
  layerName,
  type StageRange,
  stageTensorsOf,
} from './weights.ts';

/** Where a weight lies, beside the graph. */
export interface WeightPlace {
  readonly type: Extract<OnnxType, 'float32' | 'float16' | 'bfloat16'>;
  readonly data: ExternalData;
}

export interface StageGraphOptions {
  readonly config: LlamaConfig;
  readonly range: StageRange;
  /** Length of the KV cache and of the rotary tables. */
  readonly contextTokens: number;
  readonly place: (tensorName: string) => WeightPlace;
}

const contrib = 'com.microsoft';
const float32 = { i: 1 };

/**
 * The ONNX graph of consecutive layers, over weights that stay where they are.
 *
 * No operator reaches across a layer's edge, so that cut models give the whole model's bits. Attention writes its keys and
 * values into the buffers given as past.
 *
 * @returns about five kilobytes a layer
 */
export function encodeStageGraph({ config, range, contextTokens, place }: StageGraphOptions) {
  const graph = new GraphBuilder(`layers-${range.firstLayer}-${range.lastLayer}`);
  const shapes = new Map(stageTensorsOf(config, range).map(({ name, shape }) => [name, shape]));
  const norm = { epsilon: { f: config.normEpsilon }, axis: { i: -1 } };

  const stored = (name: string) => {
    const { type, data } = place(name);
    return graph.initializer({ name, type, shape: shapes.get(name) ?? [], data });
  };
  // Half-precision weights are widened when the model is loaded: ONNX Runtime folds the cast.
  const weight = (name: string) => {
    const initializer = stored(name);
    return place(name).type === 'float32'
      ? initializer
      : graph.value('Cast', `${name}:float32`, [initializer], { to: float32 });
  };
  // Hugging Face weights lie as [outputs, inputs].
  const linear = (output: string, input: string, name: string) =>
    graph.value('FusedMatMul', output, [input, weight(name)], { transB: { i: 1 } }, contrib);

  graph.input({ name: stageTensors.seqlensK, type: 'int32', shape: ['b'] });
  graph.input({ name: stageTensors.totalSequenceLength, type: 'int32', shape: [] });
  const rotary = rotaryTables(graph, config, contextTokens);
  const hiddenShape = ['b', 'rows', config.hiddenSize];

  let hidden = range.hasEmbedding
    ? embedding()
    : graph.input({ name: stageTensors.hiddenIn, type: 'float32', shape: hiddenShape });
  const layers = range.lastLayer - range.firstLayer + 1;
  for (let local = 0; local < layers; local += 1) {
    const isLast = local === layers - 1 && !range.hasHead;
    hidden = decoderLayer(local, isLast ? stageTensors.hiddenOut : `layer_${local}_out`);
  }
  if (range.hasHead) head();
  else graph.output({ name: stageTensors.hiddenOut, type: 'float32', shape: hiddenShape });
  return graph.encode();

  /** Half-precision rows are widened after the look-up, so that the table is held once, as it lies. */
  function embedding(): string {
    const ids = graph.input({ name: stageTensors.inputIds, type: 'int32', shape: ['b', 'rows'] });
    const { type } = place(embeddingName);
    const rows = graph.value('Gather', 'embedded', [stored(embeddingName), ids]);
    return type === 'float32'
      ? rows
      : graph.value('Cast', 'embedded:float32', [rows], { to: float32 });
  }

  function decoderLayer(local: number, output: string): string {
    const layer = range.firstLayer + local;
    const at = (part: string) => `layer_${local}_${part}`;
    const of = (part: string) => layerName(layer, part);

    const normed = graph.value(
      'SimplifiedLayerNormalization',
      at('attention_norm'),
      [hidden, weight(of('input_layernorm'))],
      norm,
    );
    const attended = addAttention(graph, config, contextTokens, local, {
      query: linear(at('query'), normed, of('self_attn.q_proj')),
      key: linear(at('key'), normed, of('self_attn.k_proj')),
      value: linear(at('value'), normed, of('self_attn.v_proj')),
      rotary,
    });
    const projected = linear(at('attention_out'), attended, of('self_attn.o_proj'));

    graph.node(
      'SkipSimplifiedLayerNormalization',
      [projected, hidden, weight(of('post_attention_layernorm'))],
      [at('mlp_norm'), '', '', at('residual')],
      { domain: contrib, attributes: { epsilon: norm.epsilon } },
    );
    const gate = linear(at('gate'), at('mlp_norm'), of('mlp.gate_proj'));
    const up = linear(at('up'), at('mlp_norm'), of('mlp.up_proj'));
    // With alpha 1 this is SiLU: x · sigmoid(x).
    const active = graph.value('QuickGelu', at('active'), [gate], { alpha: { f: 1 } }, contrib);
    const gated = graph.value('Mul', at('gated'), [active, up]);
    const down = linear(at('down'), gated, of('mlp.down_proj'));
    return graph.value('Add', output, [at('residual'), down]);
  }

  /** Only the last row is worth a product with the whole vocabulary. */
  function head(): void {
    const last = graph.value('Gather', 'last_row', [hidden, graph.integers('last', [-1])], {
      axis: { i: 1 },
    });
    const normed = graph.value(
      'SimplifiedLayerNormalization',
      'final_norm',
      [last, weight(finalNormName)],
      norm,
    );
    linear(stageTensors.logits, normed, headName(config));
    const shape = ['b', 1, config.vocabularySize];
    graph.output({ name: stageTensors.logits, type: 'float32', shape });
  }
}

/**
 * Cosines and sines of every position, [contextTokens, headSize / 2]. Computed in the graph, in float32 as PyTorch does:
 * ONNX Runtime folds it at load, and the file stays kilobytes.
 */
function rotaryTables(
  graph: GraphBuilder,
  config: LlamaConfig,
  contextTokens: number,
): readonly [cos: string, sin: string] {
  const frequencies = inverseFrequencies(config);
  // Zeros that fill up a head are turned by no angle.
  const filling = Array(cacheHeadSize(config) / 2 - frequencies.length).fill(0);
  const positions = graph.value('Range', 'positions', [
    graph.scalar('position_first', 0),
    graph.scalar('position_end', contextTokens),
    graph.scalar('position_step', 1),
  ]);
  const column = graph.value('Unsqueeze', 'position_column', [
    positions,
    graph.integers('column_axis', [1]),
  ]);
  const angles = graph.value('Mul', 'angles', [
    column,
    graph.floats('inverse_frequencies', [...frequencies, ...filling]),
  ]);
  return [graph.value('Cos', 'cos', [angles]), graph.value('Sin', 'sin', [angles])];
}
