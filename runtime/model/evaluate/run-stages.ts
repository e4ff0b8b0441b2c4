import { join } from 'node:path';
import { AiosError } from '../../../sdk/errors.ts';
import type { StageSpec } from '../../../sdk/spec/component.ts';
import type { WrittenPlan } from '../../../sdk/spec/plan.ts';
import { createKvCache } from '../kv-cache.ts';
import type { LoadedGraph, OnnxRuntime, OnnxTensor } from '../onnx-runtime.ts';
import { stageTensors } from '../stage.ts';
import { assertStageGraph } from '../stage-check.ts';

/** Rows of a window that go through a shard at once. */
const chunkRows = 128;
/** Windows whose rows are multiplied by the head together. */
const maxBatch = 8;

export interface RunOptions {
  readonly runtime: OnnxRuntime;
  readonly planFolder: string;
  readonly plan: Pick<WrittenPlan, 'components' | 'shards'>;
  /** Token ids of texts of the same length, each read by itself. */
  readonly windows: readonly (readonly number[])[];
  readonly threads: number;
  readonly signal: AbortSignal;
  /** After each window, or each row of the last shard: the share of all that is done. */
  readonly onProgress: (fraction: number) => void;
}

/** What each position of each window says of the next token: called in no particular order. */
export type OnLogits = (window: number, position: number, logits: Float32Array) => void;

/**
 * Reads every window from its beginning, shard after shard: one is loaded at a time, and only activations are kept
 * between two. The last gives logits of one row at a time, as it does when it answers.
 *
 * @throws {AiosError} MODEL_LOAD_FAILED, UNSUPPORTED - the plan is of no language model; CANCELLED
 */
export async function runStages(options: RunOptions, onLogits: OnLogits): Promise<void> {
  const { runtime, planFolder, plan, threads, windows } = options;
  /** Of each window, [rows, hidden]. */
  let hidden: Float32Array[] = [];
  for (const [index, { stage }] of plan.components.entries()) {
    const folder = plan.shards[index]?.folder;
    if (!stage || folder === undefined) {
      throw new AiosError('UNSUPPORTED', `'${planFolder}' is no split of a language model.`);
    }
    const graph = await runtime.loadGraph(join(planFolder, folder, stage.graph), { threads });
    try {
      assertStageGraph(graph, stage);
      const at = { index, count: plan.components.length };
      if (stage.hasHead) await runHead(options, { graph, stage, at }, hidden, onLogits);
      else hidden = await runBody(options, { graph, stage, at }, hidden);
    } finally {
      await graph.release();
    }
  }
  if (windows.length > 0 && !plan.components.at(-1)?.stage?.hasHead) {
    throw new AiosError('UNSUPPORTED', `'${planFolder}' has no shard with the model's head.`);
  }
}

interface LoadedStage {
  readonly graph: LoadedGraph;
  readonly stage: StageSpec;
  readonly at: { readonly index: number; readonly count: number };
}

async function runBody(
  { runtime, windows, signal, onProgress }: RunOptions,
  { graph, stage, at }: LoadedStage,
  hidden: readonly Float32Array[],
): Promise<Float32Array[]> {
  const cache = createKvCache(runtime, { ...stage, maxSessions: 1 });
  const { past, present } = cache.rows(0, 1);
  const { hiddenSize } = stage;
  const outputs: Float32Array[] = [];
  for (const [window, tokens] of windows.entries()) {
    const output = new Float32Array(tokens.length * hiddenSize);
    for (let from = 0; from < tokens.length; from += chunkRows) {
      assertGoing(signal);
      const end = Math.min(from + chunkRows, tokens.length);
      const rows = (buffer: Float32Array) =>
        runtime.float32(buffer.subarray(from * hiddenSize, end * hiddenSize), [
          ...[1, end - from, hiddenSize],
        ]);
      const [name, input] = stage.hasEmbedding
        ? [
            stageTensors.inputIds,
            runtime.int32(Int32Array.from(tokens.slice(from, end)), [1, end - from]),
          ]
        : [stageTensors.hiddenIn, rows(hidden[window] ?? new Float32Array(0))];
      await graph.run(
        { [name]: input, ...lengths(runtime, [end]), ...past },
        { [stageTensors.hiddenOut]: rows(output), ...present },
      );
    }
    outputs.push(output);
    onProgress((at.index + (window + 1) / windows.length) / at.count);
  }
  return outputs;
}

async function runHead(
  { runtime, windows, signal, onProgress }: RunOptions,
  { graph, stage, at }: LoadedStage,
  hidden: readonly Float32Array[],
  onLogits: OnLogits,
): Promise<void> {
  const { hiddenSize, vocabularySize } = stage;
  const batch = Math.min(maxBatch, windows.length);
  const cache = createKvCache(runtime, { ...stage, maxSessions: batch });
  const rows = windows[0]?.length ?? 0;
  for (let first = 0; first < windows.length; first += batch) {
    const count = Math.min(batch, windows.length - first);
    const { past, present } = cache.rows(0, count);
    const output = new Float32Array(count * vocabularySize);
    const outputTensor = runtime.float32(output, [count, 1, vocabularySize]);
    for (let position = 0; position < rows; position += 1) {
      assertGoing(signal);
      const [name, input] = rowsAt(position);
      await graph.run(
        { [name]: input, ...lengths(runtime, Array(count).fill(position + 1)), ...past },
        { [stageTensors.logits]: outputTensor, ...present },
      );
      for (let slot = 0; slot < count; slot += 1) {
        const logits = output.subarray(slot * vocabularySize, (slot + 1) * vocabularySize);
        onLogits(first + slot, position, logits);
      }
      const done = (first + count * ((position + 1) / rows)) / windows.length;
      onProgress((at.index + done) / at.count);
    }

    /** The same position of each window. */
    function rowsAt(position: number): [string, OnnxTensor] {
      if (stage.hasEmbedding) {
        const ids = windows.slice(first, first + count).map((tokens) => tokens[position] ?? 0);
        return [stageTensors.inputIds, runtime.int32(Int32Array.from(ids), [count, 1])];
      }
      const input = new Float32Array(count * hiddenSize);
      for (let slot = 0; slot < count; slot += 1) {
        const from = position * hiddenSize;
        const row = hidden[first + slot]?.subarray(from, from + hiddenSize);
        if (row) input.set(row, slot * hiddenSize);
      }
      return [stageTensors.hiddenIn, runtime.float32(input, [count, 1, hiddenSize])];
    }
  }
}

/** @param lengths - positions that each row of the batch has, its own included */
function lengths(runtime: OnnxRuntime, lengths: readonly number[]) {
  const last = Int32Array.from(lengths, (length) => length - 1);
  const longest = Int32Array.of(Math.max(...lengths));
  return {
    [stageTensors.seqlensK]: runtime.int32(last, [lengths.length]),
    [stageTensors.totalSequenceLength]: runtime.int32(longest, []),
  };
}

function assertGoing(signal: AbortSignal): void {
  if (signal.aborted) throw new AiosError('CANCELLED', 'the evaluation was cancelled.');
}
