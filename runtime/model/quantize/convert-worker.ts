import { parentPort } from 'node:worker_threads';
import { AiosError } from '../../../sdk/errors.ts';
import { createChunkConverter } from './convert-chunk.ts';
import type { ConvertJob } from './convert-job.ts';
import type { FromConvertWorker } from './convert-pool.ts';

// A thread that converts chunk after chunk. Started by convert-pool.ts.

if (!parentPort) throw new Error('convert-worker is started as a worker thread.');
const port = parentPort;
const converter = createChunkConverter();

port.on('message', (job: ConvertJob | 'close') => {
  if (job === 'close') {
    converter.close();
    port.close();
    return;
  }
  let answer: FromConvertWorker;
  try {
    answer = { chunk: converter.convert(job) };
  } catch (error) {
    answer = { error: AiosError.from(error).serialize() };
  }
  port.postMessage(answer);
});
