import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type LoadedGraph,
  loadOnnxRuntime,
  type OnnxTensor,
} from '../../../runtime/model/onnx-runtime.ts';
import { stageTensors } from '../../../runtime/model/stage.ts';
import type { StageSpec } from '../../../sdk/spec/component.ts';
import { type SplitPlan, splitPlan } from '../../../sdk/spec/plan.ts';

interface LoadedStage {
  readonly stage: StageSpec;
  readonly graph: LoadedGraph;
  /** The KV cache: the same tensors are given as past and as present. */
  readonly cache: Readonly<Record<'past' | 'present', Record<string, OnnxTensor>>>;
}

/** The stages of a split folder, run one after the other in this process. */
export class ChainedStages {
  readonly #stages: readonly LoadedStage[];
  readonly #runtime: Awaited<ReturnType<typeof loadOnnxRuntime>>;
  #position = 0;

  private constructor(
    runtime: Awaited<ReturnType<typeof loadOnnxRuntime>>,
    stages: readonly LoadedStage[],
  ) {
    this.#runtime = runtime;
    this.#stages = stages;
  }

  static async load(splitFolder: string): Promise<ChainedStages> {
    const plan = await readPlan(splitFolder);
    const runtime = await loadOnnxRuntime();
    const stages: LoadedStage[] = [];
    for (const [index, { stage }] of plan.components.entries()) {
      if (!stage) throw new Error(`component ${index} has no stage`);
      const path = join(splitFolder, plan.shards[index]!.folder, stage.graph);
      const graph = await runtime.loadGraph(path, { threads: 1 });
      const cache = { past: {}, present: {} } as Record<
        'past' | 'present',
        Record<string, OnnxTensor>
      >;
      const shape = [1, stage.keyValueHeads, stage.contextTokens, stage.headSize];
      const floats = shape.reduce((product, size) => product * size, 1);
      for (let layer = 0; layer <= stage.lastLayer - stage.firstLayer; layer += 1) {
        const key = runtime.float32(new Float32Array(floats), shape);
        const value = runtime.float32(new Float32Array(floats), shape);
        cache.past[stageTensors.pastKey(layer)] = key;
        cache.present[stageTensors.presentKey(layer)] = key;
        cache.past[stageTensors.pastValue(layer)] = value;
        cache.present[stageTensors.presentValue(layer)] = value;
      }
      stages.push({ stage, graph, cache });
    }
    return new ChainedStages(runtime, stages);
  }

  /** Starts over. What the cache holds past the position is never read. */
  reset(): void {
    this.#position = 0;
  }

  /** @returns logits of the last token, [vocabularySize] */
  async step(tokens: readonly number[]): Promise<Float32Array> {
    const runtime = this.#runtime;
    const rows = tokens.length;
    const end = this.#position + rows;
    let hidden = runtime.int32(Int32Array.from(tokens), [1, rows]);
    for (const { stage, graph, cache } of this.#stages) {
      const width = stage.hasHead ? stage.vocabularySize : stage.hiddenSize;
      const outputRows = stage.hasHead ? 1 : rows;
      const output = runtime.float32(new Float32Array(outputRows * width), [1, outputRows, width]);
      await graph.run(
        {
          [stage.hasEmbedding ? stageTensors.inputIds : stageTensors.hiddenIn]: hidden,
          [stageTensors.seqlensK]: runtime.int32(Int32Array.of(end - 1), [1]),
          [stageTensors.totalSequenceLength]: runtime.int32(Int32Array.of(end), []),
          ...cache.past,
        },
        {
          [stage.hasHead ? stageTensors.logits : stageTensors.hiddenOut]: output,
          ...cache.present,
        },
      );
      hidden = output;
    }
    this.#position = end;
    return hidden.data as Float32Array;
  }

  async release(): Promise<void> {
    for (const { graph } of this.#stages) await graph.release();
  }
}

export async function readPlan(splitFolder: string): Promise<SplitPlan> {
  return splitPlan.parse(JSON.parse(await readFile(join(splitFolder, 'plan.json'), 'utf8')));
}
