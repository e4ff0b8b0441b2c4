import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { AiosError, type SerializedError } from '../../../sdk/errors.ts';
import { entryPath } from '../../entry.ts';
import { createChunkConverter } from './convert-chunk.ts';
import type { ConvertedChunk, ConvertJob } from './convert-job.ts';

export type FromConvertWorker =
  | { readonly chunk: ConvertedChunk }
  | { readonly error: SerializedError };

/** One of several that convert at once. */
interface Lane {
  convert(job: ConvertJob): Promise<ConvertedChunk>;
  close(): Promise<void>;
}

/** Below this, a thread takes longer to start than to do the work. */
const threadWorthBytes = 16 * 2 ** 20;
/** More would wait for the disk, and take memory each. */
const maxThreads = 4;

export interface ConvertOptions {
  readonly jobs: Iterable<ConvertJob>;
  /** Bytes of the checkpoint that the jobs go through. */
  readonly totalBytes: number;
  readonly signal: AbortSignal;
  /** Each chunk that is in its place, in any order. */
  readonly onChunk: (chunk: ConvertedChunk, job: ConvertJob) => Promise<void> | void;
}

/**
 * Converts chunks on as many threads as there are cores.
 *
 * @throws {SplitError} the first fault of a chunk; CANCELLED is left to the caller, once no thread works any more
 */
export async function convertChunks(options: ConvertOptions): Promise<void> {
  const { jobs, totalBytes, signal, onChunk } = options;
  const lanes =
    totalBytes < threadWorthBytes
      ? [inlineLane()]
      : Array.from({ length: Math.min(maxThreads, availableParallelism()) }, threadLane);
  const waiting = jobs[Symbol.iterator]();
  let failed = false;
  async function work(lane: Lane): Promise<void> {
    while (!failed && !signal.aborted) {
      const { done, value: job } = waiting.next();
      if (done) return;
      await onChunk(await lane.convert(job), job);
    }
  }
  try {
    const ends = await Promise.allSettled(
      lanes.map((lane) =>
        work(lane).catch((error: unknown) => {
          failed = true;
          throw error;
        }),
      ),
    );
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  } finally {
    await Promise.all(lanes.map((lane) => lane.close()));
  }
}

function inlineLane(): Lane {
  const converter = createChunkConverter();
  return {
    async convert(job) {
      await setImmediate();
      return converter.convert(job);
    },
    close: async () => converter.close(),
  };
}

function threadLane(): Lane {
  const worker = new Worker(entryPath('runtime/model/quantize/convert-worker.js'), {
    name: 'convert',
    // Flags of this process, such as a test runner's loaders, are not the worker's business.
    execArgv: [],
  });
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  return {
    convert: (job) =>
      new Promise((resolve, reject) => {
        const end = () => {
          worker.off('message', answered).off('error', reject).off('exit', stopped);
        };
        const answered = (message: FromConvertWorker) => {
          end();
          if ('chunk' in message) resolve(message.chunk);
          else reject(AiosError.deserialize(message.error));
        };
        const stopped = (code: number) => reject(new Error(`its thread ended with code ${code}`));
        worker.on('message', answered).once('error', reject).once('exit', stopped);
        worker.postMessage(job);
      }),
    async close() {
      worker.postMessage('close');
      await exited;
    },
  };
}
