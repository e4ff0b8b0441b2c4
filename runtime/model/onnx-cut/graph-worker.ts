import { parentPort, workerData } from 'node:worker_threads';
import { AiosError } from '../../../sdk/errors.ts';
import { loadOnnxLibrary } from '../onnx-runtime.ts';
import {
  type FromGraphWorker,
  type GraphWorkerData,
  runStates,
  type ToGraphWorker,
} from './graph-messages.ts';
import { createOnnxShard, type OnnxArrays, type OnnxShard } from './onnx-shard.ts';

// The thread that computes a part of a graph: a run blocks it. Started by graph-executor.ts.

if (!parentPort) throw new Error('graph-worker is started as a worker thread.');
const port = parentPort;
const { graphPath, threads } = workerData as GraphWorkerData;
const post = (message: FromGraphWorker, transfer: readonly ArrayBuffer[] = []) =>
  port.postMessage(message, transfer);

/** Outputs are this thread's own: they are handed over, not copied. */
function buffersOf(arrays: OnnxArrays): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of Object.values(arrays)) {
    if (data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength) {
      buffers.add(data.buffer);
    }
  }
  return [...buffers];
}

async function run(
  shard: OnnxShard,
  { id, inputs, state }: Extract<ToGraphWorker, { type: 'run' }>,
): Promise<void> {
  const { waiting, running } = runStates;
  if (Atomics.compareExchange(state, 0, waiting, running) !== waiting) {
    post({ type: 'skipped', id });
    return;
  }
  try {
    const began = process.hrtime.bigint();
    const outputs = await shard.run(inputs);
    const computeNs = Number(process.hrtime.bigint() - began);
    post({ type: 'done', id, outputs, computeNs }, buffersOf(outputs));
  } catch (error) {
    post({ type: 'failed', id, error: AiosError.from(error).serialize() });
  }
}

try {
  await loadOnnxLibrary();
  const emptyResidentBytes = process.memoryUsage.rss();
  const shard = await createOnnxShard(graphPath, { threads });
  let last = Promise.resolve();
  port.on('message', (message: ToGraphWorker) => {
    const next = async () => {
      if (message.type === 'run') return run(shard, message);
      await shard.release();
      port.close();
    };
    last = last.then(next);
  });
  post({ type: 'ready', emptyResidentBytes });
} catch (error) {
  post({ type: 'load-failed', error: AiosError.from(error, 'MODEL_LOAD_FAILED').serialize() });
  port.close();
}
