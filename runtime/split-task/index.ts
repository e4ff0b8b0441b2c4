/**
 * Splits as tracked tasks, each in a process of its own: kept, retried, cancelled, and begun anew where a control plane
 * ended in the middle.
 *
 * @module
 */
export { freeNodes } from './free-nodes.ts';
export { openSplitService, type SplitService } from './open.ts';
export { previewSplitWorker, type RunWorkerOptions, runSplitWorker } from './run-worker.ts';
export type { SplitOrder, WorkerOrder } from './worker-protocol.ts';
