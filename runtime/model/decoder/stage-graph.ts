import { GraphBuilder } from '../onnx/graph-builder.ts';
import { stageTensors } from '../stage.ts';
import { cacheHeadSize } from './attention.ts';
import type { DecoderConfig } from './config.ts';
import { addLayer } from './layer.ts';
import { projectionPieces } from './projection-pieces.ts';
import type { Rope } from './rope.ts';
import { addRotaryTables, type RotaryTables } from './rotary.ts';
import { layersOf, type StageRange, stageTensorsOf } from './stage-range.ts';
import { type StageWeights, stageWeights, type WeightPlace } from './stage-weights.ts';
import { finalNormName, headProjection } from './weights.ts';

export interface StageGraphOptions {
  readonly config: DecoderConfig;
  readonly range: StageRange;
  /** Length of the KV cache and of the rotary tables. */
  readonly contextTokens: number;
  readonly place: (tensorName: string) => WeightPlace;
}

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
  const weights = stageWeights(graph, { config, shapes, place });

  graph.input({ name: stageTensors.seqlensK, type: 'int32', shape: ['b'] });
  graph.input({ name: stageTensors.totalSequenceLength, type: 'int32', shape: [] });
  const layers = layersOf(range);
  const rotary = rotaryOfLayers(graph, config, layers, contextTokens);
  const hiddenShape = ['b', 'rows', config.hiddenSize];

  let hidden = range.hasEmbedding
    ? addEmbedding(graph, config, weights)
    : graph.input({ name: stageTensors.hiddenIn, type: 'float32', shape: hiddenShape });
  for (const [local, index] of layers.entries()) {
    const isLast = local === layers.length - 1 && !range.hasHead;
    hidden = addLayer(graph, {
      ...{ config, contextTokens, weights, index, local, rotary },
      input: hidden,
      output: isLast ? stageTensors.hiddenOut : `layer_${local}_out`,
    });
  }
  if (range.hasHead) addHead(graph, config, weights, hidden);
  else graph.output({ name: stageTensors.hiddenOut, type: 'float32', shape: hiddenShape });
  return graph.encode();
}

/** One pair of tables for all layers that turn alike. */
function rotaryOfLayers(
  graph: GraphBuilder,
  config: DecoderConfig,
  layers: readonly number[],
  contextTokens: number,
): ReadonlyMap<Rope, RotaryTables> {
  const tables = new Map<Rope, RotaryTables>();
  for (const { rope } of layers.flatMap((layer) => config.layers[layer] ?? [])) {
    if (tables.has(rope)) continue;
    // What a head is filled up with is turned, by nothing; what a model leaves unturned is not.
    const turned = rope.rotarySize === config.headSize ? cacheHeadSize(config) : rope.rotarySize;
    const suffix = tables.size === 0 ? '' : `_${tables.size}`;
    tables.set(rope, addRotaryTables(graph, rope, { contextTokens, pairs: turned / 2, suffix }));
  }
  return tables;
}

function addEmbedding(graph: GraphBuilder, config: DecoderConfig, weights: StageWeights): string {
  const ids = graph.input({ name: stageTensors.inputIds, type: 'int32', shape: ['b', 'rows'] });
  const rows = weights.embedding(ids);
  if (config.embeddingScale === undefined) return rows;
  const scale = graph.scalar('embedding_scale', config.embeddingScale);
  return graph.value('Mul', 'embedded_scaled', [rows, scale]);
}

/** Only the last row is worth a product with the whole vocabulary. */
function addHead(
  graph: GraphBuilder,
  config: DecoderConfig,
  weights: StageWeights,
  hidden: string,
): void {
  const last = graph.value('Gather', 'last_row', [hidden, graph.integers('last', [-1])], {
    axis: { i: 1 },
  });
  const normed = weights.norm('final_norm', last, finalNormName);
  const { logitSoftCap: cap } = config;
  const uncapped = cap === undefined ? stageTensors.logits : 'logits_uncapped';
  const pieces = projectionPieces(headProjection(config));
  const logits = pieces.map((piece, at) =>
    weights.linear(pieces.length === 1 ? uncapped : `${uncapped}_${at}`, normed, piece),
  );
  if (logits.length > 1) graph.value('Concat', uncapped, logits, { axis: { i: 2 } });
  if (cap !== undefined) {
    const size = graph.scalar('logit_soft_cap', cap);
    const small = graph.value('Div', 'logits_small', [uncapped, size]);
    const bent = graph.value('Tanh', 'logits_bent', [small]);
    graph.value('Mul', stageTensors.logits, [bent, size]);
  }
  const shape = ['b', 1, config.vocabularySize];
  graph.output({ name: stageTensors.logits, type: 'float32', shape });
}
