import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defineSplitter, type OnnxShardGraph, type PlannedGraph, splitRanges } from 'aios-sdk';
import { z } from 'zod';

const layer = z.strictObject({
  activation: z.enum(['relu', 'none']),
  /** A row an output. */
  weights: z.array(z.array(z.number()).min(1)).min(1),
  bias: z.array(z.number()),
});
const mlp = z.strictObject({ layers: z.array(layer).min(1) });
type Layer = z.output<typeof layer>;

const inputsOf = ({ weights }: Layer): number => weights[0]?.length ?? 0;
const bytesOf = ({ weights, bias }: Layer): number =>
  4 * (weights.length * (weights[0]?.length ?? 0) + bias.length);
const floats = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);
const crossing = (index: number): string => (index === 0 ? 'x' : `h${index}`);

/** Layers `first` to `last` as one ONNX graph: `x` or `h<first>` in, `h<last + 1>` or `y` out. */
function graphOf(layers: readonly Layer[], first: number, last: number): OnnxShardGraph {
  const output = last === layers.length - 1 ? 'y' : crossing(last + 1);
  const nodes: OnnxShardGraph['nodes'][number][] = [];
  const initializers: OnnxShardGraph['initializers'][number][] = [];
  let value = crossing(first);
  for (const [offset, { weights, bias, activation }] of layers.slice(first, last + 1).entries()) {
    const index = first + offset;
    const shape = [weights.length, weights[0]?.length ?? 0];
    initializers.push({ name: `w${index}`, type: 'float32', shape, data: floats(weights.flat()) });
    initializers.push({
      name: `b${index}`,
      type: 'float32',
      shape: [bias.length],
      data: floats(bias),
    });
    const made = index === last ? output : crossing(index + 1);
    const sum = activation === 'relu' ? `s${index}` : made;
    const inputs = [value, `w${index}`, `b${index}`];
    const attributes = { transB: { i: 1 } };
    nodes.push({
      name: `gemm${index}`,
      operator: 'Gemm',
      domain: '',
      inputs,
      outputs: [sum],
      attributes,
    });
    if (activation === 'relu') {
      const relu = { operator: 'Relu', domain: '' as const, attributes: {} };
      nodes.push({ ...relu, name: `relu${index}`, inputs: [sum], outputs: [made] });
    }
    value = made;
  }
  const port = (name: string, width: number) => ({
    name,
    type: 'float32' as const,
    shape: ['rows', width],
  });
  return {
    name: `layers-${first}-${last}`,
    nodes,
    initializers,
    inputs: [port(crossing(first), inputsOf(layers[first] as Layer))],
    outputs: [port(output, (layers[last] as Layer).weights.length)],
  };
}

/** Splits a stack of fully connected layers that lies in `mlp.json`. */
export default defineSplitter({
  name: 'mlp',
  description: 'a folder with mlp.json: layers of weights, bias and activation.',

  accepts: async (folder) => (await stat(join(folder, 'mlp.json')).catch(() => null)) !== null,

  /** Reads and checks, and asks the planner where to cut. */
  async begin({ model, plan, task }) {
    const { layers } = mlp.parse(await model.readJson('mlp.json'));
    for (const [index, { weights, bias }] of layers.entries()) {
      const inputs = index === 0 ? inputsOf(layers[0] as Layer) : layers[index - 1]?.weights.length;
      if (weights.some((row) => row.length !== inputs) || bias.length !== weights.length) {
        throw new Error(`layer ${index} does not fit the ${inputs} outputs before it`);
      }
    }
    const outline = {
      name: model.name,
      architecture: 'MLP',
      contextTokens: 1,
      layers: layers.map((one) => ({ residentBytes: bytesOf(one), kvBytes: 0 })),
      embeddingBytes: 0,
      headBytes: 0,
      overheadBytes: 96 * 2 ** 20,
    };
    const ranges = splitRanges(await plan(outline), layers.length);
    task.log(`${layers.length} layers, ${ranges.length} shards`);
    return { layers, outline, ranges };
  },

  /** Writes one graph a shard. */
  async main({ outFolder, tools, progress, signal }, { layers, outline, ranges }) {
    const written: { readonly graph: OnnxShardGraph; readonly bytes: Uint8Array }[] = [];
    for (const [index, { firstLayer, lastLayer }] of ranges.entries()) {
      signal.throwIfAborted();
      const graph = graphOf(layers, firstLayer, lastLayer);
      const bytes = tools.encodeGraph(graph);
      const folder = join(outFolder, `shard-${index}`);
      await mkdir(folder);
      await writeFile(join(folder, 'stage.onnx'), bytes);
      written.push({ graph, bytes });
      progress((index + 1) / ranges.length, `shard ${index} written`);
    }
    return { layers, outline, ranges, written };
  },

  /** Identities, and the documents that run the shards. */
  async finish({ outFolder, tools }, { layers, outline, ranges, written }) {
    const shards: PlannedGraph[] = [];
    for (const [index, { graph, bytes }] of written.entries()) {
      const { firstLayer, lastLayer } = ranges[index] ?? { firstLayer: 0, lastLayer: 0 };
      const weightBytes = layers
        .slice(firstLayer, lastLayer + 1)
        .reduce((sum, one) => sum + bytesOf(one), 0);
      const port = ({ name, type, shape }: OnnxShardGraph['inputs'][number]) => {
        return { name, dtype: type, shape: [...shape] };
      };
      shards.push({
        ...{ firstLayer, lastLayer, fileBytes: weightBytes, residentBytes: weightBytes },
        graph: {
          stageHash: tools.stageHash(bytes),
          inputs: graph.inputs.map(port),
          outputs: graph.outputs.map(port),
          passes: [],
          graph: 'stage.onnx',
          files: [await tools.describeFile(join(outFolder, `shard-${index}`, 'stage.onnx'))],
        },
      });
    }
    return tools.createGraphPlan({ outline, shards });
  },
});
