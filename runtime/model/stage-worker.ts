import { parentPort, workerData } from 'node:worker_threads';
import { AiosError, type SerializedError } from '../../sdk/errors.ts';
import { loadOnnxRuntime } from './onnx-runtime.ts';
import type { FromStageWorker, StageWorkerData, ToStageWorker } from './stage-messages.ts';
import { loadStage, type StageRunner } from './stage-runner.ts';

// The thread that computes: it holds the weights, the KV cache and the sampler. Started by stage-executor.ts.

type StepMessage = Extract<ToStageWorker, { type: 'step' }>;

if (!parentPort) throw new Error('stage-worker is started as a worker thread.');
const port = parentPort;
const data = workerData as StageWorkerData;
const generations = new Int32Array(data.generations);
const queue: ToStageWorker[] = [];
/** Why a slot's cache cannot be trusted any more; until it is opened again. */
const broken = new Map<number, SerializedError>();
let wake: () => void = () => {};

const post = (message: FromStageWorker, transfer: readonly ArrayBuffer[] = []) =>
  port.postMessage(message, transfer);

port.on('message', (message: ToStageWorker) => {
  queue.push(message);
  wake();
});
await main();

async function main(): Promise<void> {
  let runner: StageRunner;
  try {
    const runtime = await loadOnnxRuntime();
    const emptyResidentBytes = process.memoryUsage.rss();
    runner = await loadStage(runtime, data.graphPath, data.stage, data);
    post({ type: 'ready', emptyResidentBytes });
  } catch (error) {
    post({ type: 'load-failed', error: AiosError.from(error, 'MODEL_LOAD_FAILED').serialize() });
    port.close();
    return;
  }
  for (;;) {
    const message = queue.shift();
    if (!message) await new Promise<void>((resolve) => (wake = resolve));
    else if (message.type === 'open') {
      broken.delete(message.slot);
      runner.open(message.slot, message.options);
    } else if (message.type === 'step') await step(runner, message);
    else break;
  }
  await runner.release();
  port.close();
}

async function step(runner: StageRunner, { id, generation, step }: StepMessage): Promise<void> {
  if (Atomics.load(generations, step.slot) !== generation) {
    post({ type: 'step-skipped', id });
    return;
  }
  const error = broken.get(step.slot);
  if (error) {
    post({ type: 'step-failed', id, error });
    return;
  }
  try {
    const result = await runner.run(step);
    post({ type: 'step-end', id, result }, result.type === 'activations' ? [result.buffer] : []);
  } catch (cause) {
    const failure = AiosError.from(cause, 'BLOCK_FAILED').serialize();
    broken.set(step.slot, failure);
    post({ type: 'step-failed', id, error: failure });
  }
}
