/**
 * Runs in a thread of the process that splits: it ends with its parent, whatever an author's code does to the main thread.
 */
import { workerData } from 'node:worker_threads';
import { killGroupOf } from './process-group.ts';
import { workerLimits } from './worker-protocol.ts';

const { parentPid } = workerData as { readonly parentPid: number };

const watch = setInterval(() => {
  if (process.ppid === parentPid) return;
  clearInterval(watch);
  // The main thread may still remove what it wrote.
  setTimeout(() => killGroupOf(process.pid), workerLimits.graceMs);
}, workerLimits.parentWatchMs);
