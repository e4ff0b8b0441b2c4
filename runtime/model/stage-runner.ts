import type { StageSpec } from '../../sdk/spec/component.ts';
import { createKvCache, type KvSlot } from './kv-cache.ts';
import type { GraphOptions, OnnxRuntime, OnnxTensor } from './onnx-runtime.ts';
import { sampleToken } from './sampling.ts';
import {
  outputHeadroomBytes,
  type StageSessionOptions,
  type StepResult,
  stageTensors,
} from './stage.ts';
import { assertStageGraph } from './stage-check.ts';

/** One step, already checked: int32 [rows] or float32 [rows, hidden] of the session in `slot`. */
export interface SlotStep {
  readonly slot: number;
  readonly position: number;
  readonly rows: number;
  readonly input: ArrayBuffer;
  readonly sample: boolean;
}

/** A stage on the thread that computes it. Checks nothing and knows no sessions, only slots. */
export interface StageRunner {
  open(slot: number, options: StageSessionOptions): void;
  /** Blocks this thread while it computes. One at a time. */
  run(step: SlotStep): Promise<StepResult>;
  release(): Promise<void>;
}

interface SlotSampling {
  readonly parameters: StageSessionOptions['sampling'];
  /** Prompt and answer; kept only where a penalty needs it. */
  readonly seen: Set<number>;
}

/** @throws {AiosError} MODEL_LOAD_FAILED */
export async function loadStage(
  runtime: OnnxRuntime,
  graphPath: string,
  stage: StageSpec,
  options: GraphOptions,
): Promise<StageRunner> {
  const graph = await runtime.loadGraph(graphPath, options);
  assertStageGraph(graph, stage);
  const slots = createKvCache(runtime, stage);
  const sampling = new Map<number, SlotSampling>();
  const lastKey = new Int32Array(1);
  const sequenceLength = new Int32Array(1);
  const lengths = {
    [stageTensors.seqlensK]: runtime.int32(lastKey, [1]),
    [stageTensors.totalSequenceLength]: runtime.int32(sequenceLength, []),
  };
  const logits = new Float32Array(stage.hasHead ? stage.vocabularySize : 0);
  const logitsTensor = runtime.float32(logits, [1, 1, logits.length]);

  function inputTensor({ rows, input }: SlotStep): Record<string, OnnxTensor> {
    return stage.hasEmbedding
      ? { [stageTensors.inputIds]: runtime.int32(new Int32Array(input), [1, rows]) }
      : {
          [stageTensors.hiddenIn]: runtime.float32(new Float32Array(input), [
            1,
            rows,
            stage.hiddenSize,
          ]),
        };
  }

  async function compute(slot: KvSlot, step: SlotStep): Promise<ArrayBuffer | undefined> {
    const length = step.position + step.rows;
    lastKey[0] = length - 1;
    sequenceLength[0] = length;
    const inputs = { ...inputTensor(step), ...lengths, ...slot.past };
    if (stage.hasHead) {
      await graph.run(inputs, { [stageTensors.logits]: logitsTensor, ...slot.present });
      return undefined;
    }
    const elements = step.rows * stage.hiddenSize;
    const buffer = new ArrayBuffer(outputHeadroomBytes + 4 * elements);
    const hidden = runtime.float32(new Float32Array(buffer, outputHeadroomBytes, elements), [
      1,
      step.rows,
      stage.hiddenSize,
    ]);
    await graph.run(inputs, { [stageTensors.hiddenOut]: hidden, ...slot.present });
    return buffer;
  }

  function choose(step: SlotStep) {
    const { parameters, seen } = sampling.get(step.slot) ?? unsampled;
    const chosen = sampleToken(logits, parameters, step.position + step.rows, seen);
    if (parameters.repetitionPenalty !== 1) seen.add(chosen.token);
    return chosen;
  }

  return {
    open(slot, { promptTokens, sampling: parameters }) {
      const seen = new Set(parameters.repetitionPenalty === 1 ? [] : promptTokens);
      sampling.set(slot, { parameters, seen });
    },
    async run(step) {
      const slot = slots[step.slot];
      if (!slot) throw new RangeError(`slot ${step.slot} of ${slots.length}`);
      const started = process.hrtime.bigint();
      const buffer = await compute(slot, step);
      const chosen = stage.hasHead && step.sample ? choose(step) : undefined;
      const computeNs = Number(process.hrtime.bigint() - started);
      if (buffer) return { type: 'activations', buffer, computeNs };
      return chosen ? { type: 'token', ...chosen, computeNs } : { type: 'nothing', computeNs };
    },
    async release() {
      await graph.release();
    },
  };
}

const unsampled: SlotSampling = {
  parameters: { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1, seed: 0 },
  seen: new Set(),
};
