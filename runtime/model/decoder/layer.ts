import type { GraphBuilder } from '../onnx/graph-builder.ts';
import { addAttention, reshape } from './attention.ts';
import type { DecoderConfig } from './config.ts';
import type { Activation } from './features.ts';
import type { Rope } from './rope.ts';
import type { RotaryTables } from './rotary.ts';
import type { StageWeights } from './stage-weights.ts';
import { headNorms, layerName, layerNorms, layerProjections } from './weights.ts';

const contrib = 'com.microsoft';

export interface LayerOptions {
  readonly config: DecoderConfig;
  readonly contextTokens: number;
  readonly weights: StageWeights;
  /** Index in the model, and in the stage. */
  readonly index: number;
  readonly local: number;
  /** The tables of each way to turn. */
  readonly rotary: ReadonlyMap<Rope, RotaryTables>;
  /** Name of [b, rows, hidden]. */
  readonly input: string;
  readonly output: string;
}

/** Adds one layer of a decoder. @returns `output`, [b, rows, hidden] */
export function addLayer(graph: GraphBuilder, options: LayerOptions): string {
  const { config, contextTokens, weights, index, local, rotary, input, output } = options;
  const at = (part: string) => `layer_${local}_${part}`;
  const of = (part: string) => layerName(index, part);
  const projections = layerProjections(config, index);
  const layer = config.layers[index];
  const tables = layer && rotary.get(layer.rope);
  if (!tables) throw new RangeError(`layer ${index} of ${config.layers.length}`);
  const norms = layerNorms(config);
  /** Some models norm what a part gives before it is added. */
  const normedAfter = (name: string, norm: string | undefined) =>
    norm === undefined ? name : weights.norm(`${name}_normed`, name, of(norm));

  const normed = weights.norm(at('attention_norm'), input, of(norms.beforeAttention));
  const query = weights.linear(at('query'), normed, projections.query);
  const key = weights.linear(at('key'), normed, projections.key);
  const attended = addAttention(graph, config, contextTokens, {
    query: headsNormed(query, config.heads, headNorms.query),
    key: headsNormed(key, config.keyValueHeads, headNorms.key),
    value: weights.linear(at('value'), normed, projections.value),
    ...{ rotary: tables, local, layer },
  });
  const projected = weights.linear(at('attention_out'), attended, projections.attentionOut);

  graph.node(
    'SkipSimplifiedLayerNormalization',
    [normedAfter(projected, norms.afterAttention), input, weights.normWeight(of(norms.beforeMlp))],
    [at('mlp_norm'), '', '', at('residual')],
    { domain: contrib, attributes: { epsilon: { f: config.normEpsilon } } },
  );
  const gate = weights.linear(at('gate'), at('mlp_norm'), projections.gate);
  const up = weights.linear(at('up'), at('mlp_norm'), projections.up);
  const active = addActivation(graph, config.activation, at('active'), gate);
  const gated = graph.value('Mul', at('gated'), [active, up]);
  const down = weights.linear(at('down'), gated, projections.down);
  return graph.value('Add', output, [at('residual'), normedAfter(down, norms.afterMlp)]);

  /** [b, rows, heads · headSize], each head by itself. */
  function headsNormed(rows: string, heads: number, norm: string): string {
    if (!config.queryKeyNorms) return rows;
    const { headSize } = config;
    const apart = reshape(graph, `${rows}_heads`, rows, [0, 0, heads, headSize]);
    const normed = weights.norm(`${rows}_heads_normed`, apart, of(norm));
    return reshape(graph, `${rows}_normed`, normed, [0, 0, heads * headSize]);
  }
}

function addActivation(graph: GraphBuilder, kind: Activation, output: string, input: string) {
  return kind === 'silu'
    ? // With alpha 1 this is SiLU: x · sigmoid(x).
      graph.value('QuickGelu', output, [input], { alpha: { f: 1 } }, contrib)
    : // GELU by a hyperbolic tangent, as the models that name it so were trained.
      graph.value('FastGelu', output, [input], {}, contrib);
}
