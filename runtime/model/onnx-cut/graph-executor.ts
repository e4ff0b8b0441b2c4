import { Worker } from 'node:worker_threads';
import { AiosError } from '../../../sdk/errors.ts';
import { entryPath } from '../../entry.ts';
import type { FromGraphWorker, GraphWorkerData, ToGraphWorker } from './graph-messages.ts';
import type { OnnxArrays } from './onnx-shard.ts';

export interface GraphExecutorOptions extends GraphWorkerData {
  /** The thread ended by itself; what runs was failed before. */
  readonly onFailure: (error: Error) => void;
}

/** A part of a graph, run on a thread of its own, one request after the other. */
export interface GraphExecutor {
  /** Resident bytes of this process before the graph was loaded. */
  readonly emptyResidentBytes: number;
  /** @throws {AiosError} TENSOR_MISMATCH, SHARD_UNAVAILABLE */
  run(inputs: OnnxArrays): Promise<OnnxArrays>;
  /** Lets what computes end: to end the thread meanwhile would abort the process. */
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (outputs: OnnxArrays) => void;
  readonly reject: (error: AiosError) => void;
}

/** @throws {AiosError} MODEL_LOAD_FAILED, EXECUTOR_MISSING */
export async function createGraphExecutor(options: GraphExecutorOptions): Promise<GraphExecutor> {
  const { onFailure, ...data } = options;
  const worker = new Worker(entryPath('runtime/model/onnx-cut/graph-worker.js'), {
    workerData: data satisfies GraphWorkerData,
  });
  const waiting = new Map<number, Waiting>();
  let nextId = 0;
  let closing = false;
  const gone = (cause?: Error) =>
    new AiosError('SHARD_UNAVAILABLE', 'the thread that computes the graph has ended. Ask again.', {
      ...(cause ? { cause } : {}),
    });
  const failAll = (error: AiosError) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  const send = (message: ToGraphWorker) => worker.postMessage(message);
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));

  const emptyResidentBytes = await new Promise<number>((resolve, reject) => {
    worker.on('message', (message: FromGraphWorker) => {
      if (message.type === 'ready') resolve(message.emptyResidentBytes);
      else if (message.type === 'load-failed') reject(AiosError.deserialize(message.error));
      else {
        const one = waiting.get(message.id);
        waiting.delete(message.id);
        if (message.type === 'done') one?.resolve(message.outputs);
        else one?.reject(AiosError.deserialize(message.error));
      }
    });
    worker.on('error', (cause) => {
      reject(cause);
      failAll(gone(cause));
      if (!closing) onFailure(cause);
    });
    worker.on('exit', () => {
      reject(gone());
      failAll(gone());
    });
  });

  return {
    emptyResidentBytes,
    run: (inputs) =>
      new Promise((resolve, reject) => {
        if (closing) {
          reject(gone());
          return;
        }
        nextId += 1;
        waiting.set(nextId, { resolve, reject });
        send({ type: 'run', id: nextId, inputs });
      }),
    async close() {
      if (!closing) send({ type: 'close' });
      closing = true;
      await exited;
    },
  };
}
