import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createOnnxShard,
  type OnnxArray,
  type OnnxArrays,
  type OnnxShardOptions,
} from '../../runtime/model/onnx-cut/onnx-shard.ts';
import { runShards, type ShardStep } from '../../runtime/model/onnx-cut/run-shards.ts';
import { type SplitModelOptions, splitModel } from '../../runtime/model/split.ts';
import { splitters } from '../../runtime/model/splitters/index.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';

type Optimization = NonNullable<OnnxShardOptions['optimization']>;

/** Splits into `shards`, or at `cutTensors`, with a hash cache of its own. */
export async function splitOnnx(
  path: string,
  outFolder: string,
  options: Partial<SplitModelOptions> = {},
): Promise<SplitPlan> {
  return splitModel({
    modelFolder: path,
    outFolder,
    splitters,
    plan: async ({ layers }) => ({
      firstLayers: options.shards === undefined ? [0] : [...layers.keys()],
    }),
    hashCachePath: `${outFolder}.hashes.json`,
    ...options,
  });
}

export async function runWhole(
  path: string,
  optimization: Optimization,
  inputs: OnnxArrays,
): Promise<OnnxArrays> {
  const whole = await createOnnxShard(path, { optimization });
  try {
    return await whole.run(inputs);
  } finally {
    await whole.release();
  }
}

/** Loads the shards of a split and runs them in their order. */
export async function runSplit(
  folder: string,
  plan: SplitPlan,
  optimization: Optimization,
  inputs: OnnxArrays,
): Promise<OnnxArrays> {
  const steps: (ShardStep & { readonly shard: Awaited<ReturnType<typeof createOnnxShard>> })[] = [];
  const names = (tensors: readonly { readonly name: string }[]) => tensors.map(({ name }) => name);
  try {
    for (const [index, { graph }] of plan.components.entries()) {
      if (!graph) throw new Error(`component ${index} has no graph`);
      const path = join(folder, plan.shards[index]?.folder ?? '', graph.graph);
      const shard = await createOnnxShard(path, { optimization });
      const { inputs: taken, outputs, passes } = graph;
      steps.push({ shard, inputs: names(taken), outputs: names(outputs), passes });
    }
    return await runShards(steps, inputs);
  } finally {
    for (const { shard } of steps) await shard.release();
  }
}

export const floats = (shape: readonly number[], at: (index: number) => number): OnnxArray => {
  const count = shape.reduce((product, size) => product * size, 1);
  const values = Float32Array.from({ length: count }, (_, index) => at(index));
  return { dtype: 'float32', shape, data: new Uint8Array(values.buffer) };
};

export const integers = (shape: readonly number[], values: readonly number[]): OnnxArray => ({
  dtype: 'int64',
  shape,
  data: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
});

/** Largest difference of two tensors, against the largest number in them. */
export function relativeError(a: OnnxArray | undefined, b: OnnxArray | undefined): number {
  const [x, y] = [a, b].map((one) => {
    const bytes = Uint8Array.from(one?.data ?? []);
    return new Float32Array(bytes.buffer);
  });
  if (!x || !y || x.length !== y.length || x.length === 0) return Number.POSITIVE_INFINITY;
  let largest = Number.MIN_VALUE;
  let difference = 0;
  for (const [index, value] of x.entries()) {
    largest = Math.max(largest, Math.abs(value));
    difference = Math.max(difference, Math.abs(value - (y[index] ?? Number.NaN)));
  }
  return difference / largest;
}

export const readPlanFile = async (folder: string): Promise<unknown> =>
  JSON.parse(await readFile(join(folder, 'plan.json'), 'utf8'));
