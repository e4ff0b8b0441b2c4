import type { GraphBuilder } from '../onnx/graph-builder.ts';
import { stageTensors } from '../stage.ts';
import type { DecoderConfig } from './config.ts';
import type { LayerConfig } from './layers-config.ts';
import type { RotaryTables } from './rotary.ts';

const contrib = 'com.microsoft';
const headMultiple = 16;

/**
 * Size of a head in the KV cache: the attention operator takes multiples of 16. Of others each half is filled up with
 * zeros, since the rotary embedding pairs the halves; zeros add nothing to a product.
 */
export const cacheHeadSize = ({ headSize }: Pick<DecoderConfig, 'headSize'>) =>
  Math.ceil(headSize / headMultiple) * headMultiple;

export interface AttentionInputs {
  /** [b, rows, heads · headSize]; keys and values with keyValueHeads. */
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly rotary: RotaryTables;
  /** Index of the layer in its stage. */
  readonly local: number;
  readonly layer: LayerConfig;
}

/**
 * Attention of one layer with its KV cache, written in place.
 *
 * @returns the name of [b, rows, heads · headSize]
 */
export function addAttention(
  graph: GraphBuilder,
  config: DecoderConfig,
  contextTokens: number,
  { query, key, value, rotary, local, layer }: AttentionInputs,
): string {
  const { heads, keyValueHeads, headSize, attentionScale, attentionSoftCap } = config;
  const { windowTokens } = layer;
  const paddedSize = cacheHeadSize(config);
  const shape = ['b', keyValueHeads, contextTokens, paddedSize];
  const cache = (name: string) => ({ name, type: 'float32', shape }) as const;
  const pastKey = graph.input(cache(stageTensors.pastKey(local)));
  const pastValue = graph.input(cache(stageTensors.pastValue(local)));
  graph.output(cache(stageTensors.presentKey(local)));
  graph.output(cache(stageTensors.presentValue(local)));

  const filled = (name: string, count: number) =>
    resizeHalves(graph, name, 2 * count, headSize / 2, paddedSize / 2);
  const output = `layer_${local}_attended`;
  const { seqlensK, totalSequenceLength } = stageTensors;
  graph.node(
    'GroupQueryAttention',
    [
      ...[filled(query, heads), filled(key, keyValueHeads), filled(value, keyValueHeads)],
      ...[pastKey, pastValue, seqlensK, totalSequenceLength, ...rotary],
    ],
    [output, stageTensors.presentKey(local), stageTensors.presentValue(local)],
    {
      domain: contrib,
      attributes: {
        num_heads: { i: heads },
        kv_num_heads: { i: keyValueHeads },
        do_rotary: { i: 1 },
        scale: { f: attentionScale },
        ...(windowTokens && windowTokens < contextTokens
          ? { local_window_size: { i: windowTokens } }
          : {}),
        ...(attentionSoftCap ? { softcap: { f: attentionSoftCap } } : {}),
      },
    },
  );
  return resizeHalves(graph, output, 2 * heads, paddedSize / 2, headSize / 2);
}

/** Fills each of `halves` up with zeros, or cuts it off again. [b, rows, halves · from] → [b, rows, halves · to] */
function resizeHalves(
  graph: GraphBuilder,
  input: string,
  halves: number,
  from: number,
  to: number,
): string {
  if (from === to) return input;
  const split = reshape(graph, `${input}_halves`, input, [0, 0, halves, from]);
  // A negative filling cuts off.
  const filling = graph.integers(`filling_${to - from}`, [0, 0, 0, 0, 0, 0, 0, to - from]);
  const resized = graph.value('Pad', `${input}_resized`, [split, filling]);
  return reshape(graph, `${input}_${halves * to}`, resized, [0, 0, halves * to]);
}

/** A 0 keeps the size of that dimension. */
export function reshape(
  graph: GraphBuilder,
  output: string,
  input: string,
  shape: readonly number[],
): string {
  return graph.value('Reshape', output, [input, graph.integers(`shape_${shape.join('_')}`, shape)]);
}
