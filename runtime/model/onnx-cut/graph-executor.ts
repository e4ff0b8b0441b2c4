import { Worker } from 'node:worker_threads';
import { AiosError } from '../../../sdk/errors.ts';
import { entryPath } from '../../entry.ts';
import {
  type FromGraphWorker,
  type GraphWorkerData,
  runStates,
  type ToGraphWorker,
} from './graph-messages.ts';
import type { OnnxArray, OnnxArrays } from './onnx-shard.ts';

export interface GraphExecutorOptions extends GraphWorkerData {
  /** The thread ended by itself; what runs was failed before. */
  readonly onFailure: (error: Error) => void;
}

export interface GraphRun {
  readonly outputs: OnnxArrays;
  readonly computeNs: number;
}

/** A part of a graph, run on a thread of its own, one request after the other. */
export interface GraphExecutor {
  /** Resident bytes of this process before the graph was loaded. */
  readonly emptyResidentBytes: number;
  /**
   * @param signal - aborted before its turn came: it is never computed. What computes cannot be stopped.
   * @throws {AiosError} TENSOR_MISMATCH, SHARD_UNAVAILABLE; the signal's reason
   */
  run(inputs: OnnxArrays, signal?: AbortSignal): Promise<GraphRun>;
  /** Drops what waits and lets what computes end: to end the thread meanwhile would abort the process. */
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (run: GraphRun) => void;
  readonly reject: (error: AiosError) => void;
  /** What is said of one that was dropped. */
  readonly whyDropped: () => AiosError;
  readonly drop: () => void;
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
  const send = (message: ToGraphWorker, transfer: readonly ArrayBuffer[] = []) =>
    worker.postMessage(message, transfer);
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));

  function settle(message: Extract<FromGraphWorker, { readonly id: number }>): void {
    const one = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.type === 'done') one?.resolve(message);
    else if (message.type === 'skipped') one?.reject(one.whyDropped());
    else one?.reject(AiosError.deserialize(message.error));
  }

  const emptyResidentBytes = await new Promise<number>((resolve, reject) => {
    worker.on('message', (message: FromGraphWorker) => {
      if (message.type === 'ready') resolve(message.emptyResidentBytes);
      else if (message.type === 'load-failed') reject(AiosError.deserialize(message.error));
      else settle(message);
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
    async run(inputs, signal) {
      if (closing) throw gone();
      const whyDropped = () =>
        signal?.aborted ? AiosError.from(signal.reason, 'CANCELLED') : gone();
      if (signal?.aborted) throw whyDropped();
      const state = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
      const drop = () =>
        void Atomics.compareExchange(state, 0, runStates.waiting, runStates.dropped);
      nextId += 1;
      const id = nextId;
      signal?.addEventListener('abort', drop, { once: true });
      try {
        return await new Promise<GraphRun>((resolve, reject) => {
          waiting.set(id, { resolve, reject, whyDropped, drop });
          const { arrays, buffers } = ownCopies(inputs);
          send({ type: 'run', id, inputs: arrays, state }, buffers);
        });
      } finally {
        signal?.removeEventListener('abort', drop);
      }
    },
    async close() {
      for (const { drop } of waiting.values()) drop();
      if (!closing) send({ type: 'close' });
      closing = true;
      await exited;
    },
  };
}

/**
 * Arrays that come are views into whole messages. Copied here, beside what computes, they can be handed over, and the
 * thread that computes neither copies nor aligns them.
 */
function ownCopies(inputs: OnnxArrays) {
  const buffers: ArrayBuffer[] = [];
  const arrays = Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, shape, data }]): [string, OnnxArray] => {
      const own = new Uint8Array(data);
      buffers.push(own.buffer);
      return [name, { dtype, shape, data: own }];
    }),
  );
  return { arrays, buffers };
}
