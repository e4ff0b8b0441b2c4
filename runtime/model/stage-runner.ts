import type { StageSpec } from '../../sdk/spec/component.ts';
import { createKvCache, type SlotTokens } from './kv-cache.ts';
import type { GraphOptions, OnnxRuntime, OnnxTensor } from './onnx-runtime.ts';
import { type SampledToken, sampleToken } from './sampling.ts';
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

/** What became of one step of a batch; one that fails leaves the others as they are. */
export type StepOutcome = StepResult | { readonly type: 'failed'; readonly error: unknown };

/** A stage on the thread that computes it. Checks nothing and knows no sessions, only slots. */
export interface StageRunner {
  open(slot: number, options: StageSessionOptions): void;
  /** Blocks this thread while it computes. One at a time. */
  run(step: SlotStep): Promise<StepResult>;
  /**
   * Computes one row for each of adjacent slots at once, in their order; the numbers are those of each alone.
   *
   * @returns an outcome a step, whose `computeNs` is that of the whole batch
   */
  runBatch(steps: readonly SlotStep[]): Promise<StepOutcome[]>;
  /** Copies the first positions of one slot into another. */
  copy(from: number, to: number, tokens: number): void;
  /** Lets the sessions of two slots change places. */
  swap(a: SlotTokens, b: SlotTokens): void;
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
  const cache = createKvCache(runtime, stage);
  const sampling = new Map<number, SlotSampling>();
  const { hiddenSize, vocabularySize, maxSessions } = stage;
  // Of a batch; the pages of what is never used cost nothing.
  const lastKeys = new Int32Array(maxSessions);
  const longest = new Int32Array(1);
  const longestTensor = runtime.int32(longest, []);
  const width = stage.hasEmbedding ? 1 : hiddenSize;
  const batchInput = new Uint8Array(maxSessions * width * 4);
  const outputWidth = stage.hasHead ? vocabularySize : hiddenSize;
  const batchOutput = new Float32Array(maxSessions * outputWidth);
  const outputName = stage.hasHead ? stageTensors.logits : stageTensors.hiddenOut;

  const inputTensor = (input: ArrayBuffer, count: number, rows: number): OnnxTensor =>
    stage.hasEmbedding
      ? runtime.int32(new Int32Array(input, 0, count * rows), [count, rows])
      : runtime.float32(new Float32Array(input, 0, count * rows * hiddenSize), [
          count,
          rows,
          hiddenSize,
        ]);

  /** Adjacent slots with the same number of rows each. */
  async function compute(
    steps: readonly SlotStep[],
    first: number,
    input: OnnxTensor,
    output: OnnxTensor,
  ): Promise<void> {
    longest[0] = 0;
    for (const [at, { position, rows }] of steps.entries()) {
      lastKeys[at] = position + rows - 1;
      longest[0] = Math.max(longest[0] ?? 0, position + rows);
    }
    const { past, present } = cache.rows(first, steps.length);
    await graph.run(
      {
        [stage.hasEmbedding ? stageTensors.inputIds : stageTensors.hiddenIn]: input,
        [stageTensors.seqlensK]: runtime.int32(lastKeys.subarray(0, steps.length), [steps.length]),
        [stageTensors.totalSequenceLength]: longestTensor,
        ...past,
      },
      { [outputName]: output, ...present },
    );
  }

  function choose({ slot, position, rows }: SlotStep, logits: Float32Array): SampledToken {
    const { parameters, seen } = sampling.get(slot) ?? unsampled;
    const chosen = sampleToken(logits, parameters, position + rows, seen);
    if (parameters.repetitionPenalty !== 1) seen.add(chosen.token);
    return chosen;
  }

  const sinceNs = (started: bigint) => Number(process.hrtime.bigint() - started);

  return {
    open(slot, { promptTokens, sampling: parameters }) {
      const seen = new Set(parameters.repetitionPenalty === 1 ? [] : promptTokens);
      sampling.set(slot, { parameters, seen });
    },
    async run(step) {
      const { rows, slot } = step;
      const started = process.hrtime.bigint();
      const input = inputTensor(step.input, 1, rows);
      if (stage.hasHead) {
        const logits = batchOutput.subarray(0, vocabularySize);
        await compute([step], slot, input, runtime.float32(logits, [1, 1, vocabularySize]));
        const chosen = step.sample ? choose(step, logits) : undefined;
        const computeNs = sinceNs(started);
        return chosen ? { type: 'token', ...chosen, computeNs } : { type: 'nothing', computeNs };
      }
      const buffer = new ArrayBuffer(outputHeadroomBytes + 4 * rows * hiddenSize);
      const hidden = new Float32Array(buffer, outputHeadroomBytes, rows * hiddenSize);
      await compute([step], slot, input, runtime.float32(hidden, [1, rows, hiddenSize]));
      return { type: 'activations', buffer, computeNs: sinceNs(started) };
    },
    async runBatch(steps) {
      const started = process.hrtime.bigint();
      const count = steps.length;
      for (const [at, { input }] of steps.entries()) {
        batchInput.set(new Uint8Array(input), at * width * 4);
      }
      const output = batchOutput.subarray(0, count * outputWidth);
      await compute(
        steps,
        steps[0]?.slot ?? 0,
        inputTensor(batchInput.buffer, count, 1),
        runtime.float32(output, [count, 1, outputWidth]),
      );
      const outcomes = steps.map((step, at): StepOutcome => {
        const row = output.subarray(at * outputWidth, (at + 1) * outputWidth);
        if (!stage.hasHead) {
          // Rows of one tensor go to sessions of their own, each with room for its header: a copy of a few kilobytes.
          const buffer = new ArrayBuffer(outputHeadroomBytes + row.byteLength);
          new Float32Array(buffer, outputHeadroomBytes).set(row);
          return { type: 'activations', buffer, computeNs: 0 };
        }
        if (!step.sample) return { type: 'nothing', computeNs: 0 };
        try {
          return { type: 'token', ...choose(step, row), computeNs: 0 };
        } catch (error) {
          return { type: 'failed', error };
        }
      });
      const computeNs = sinceNs(started);
      return outcomes.map((outcome) =>
        outcome.type === 'failed' ? outcome : { ...outcome, computeNs },
      );
    },
    copy: cache.copy,
    swap(a, b) {
      cache.swap(a, b);
      const [ofA, ofB] = [sampling.get(a.slot), sampling.get(b.slot)];
      if (ofA) sampling.set(b.slot, ofA);
      if (ofB) sampling.set(a.slot, ofB);
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
