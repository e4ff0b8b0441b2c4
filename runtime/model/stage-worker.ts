import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { AiosError, type SerializedError } from '../../sdk/errors.ts';
import { loadOnnxRuntime } from './onnx-runtime.ts';
import type { FromStageWorker, StageWorkerData, StepEnd, ToStageWorker } from './stage-messages.ts';
import { loadStage, type StageRunner, type StepOutcome } from './stage-runner.ts';
import { createStageScheduler, type StageWork } from './stage-scheduler.ts';

// The thread that computes: it holds the weights, the KV cache and the sampler. Started by stage-executor.ts.

/** How long a batch waits for rows that are about to come: this part of the last one's time, and never longer than that. */
const waitFraction = 0.25;
const maxWaitMs = 8;
/** Part of the last batch's time that slots may take to become neighbours. */
const moveFraction = 0.2;

if (!parentPort) throw new Error('stage-worker is started as a worker thread.');
const port = parentPort;
const data = workerData as StageWorkerData;
const { stage, microBatches = stage.count } = data;
const { maxSessions } = stage;
const scheduler = createStageScheduler({ maxSessions, microBatches, splits: stage.index === 0 });
const inbox: ToStageWorker[] = [];
/** Why a session's cache cannot be trusted any more. */
const broken = new Map<number, SerializedError>();
let wake: () => void = () => {};
let kvMoves = 0;
/** Measured; until then a guess on the slow side. */
let nsPerMovedToken = 20_000;
let closing = false;

const post = (message: FromStageWorker, transfer: readonly ArrayBuffer[] = []) =>
  port.postMessage(message, transfer);

port.on('message', (message: ToStageWorker) => {
  inbox.push(message);
  wake();
});
await main();

async function main(): Promise<void> {
  let runner: StageRunner;
  try {
    const runtime = await loadOnnxRuntime();
    const emptyResidentBytes = process.memoryUsage.rss();
    runner = await loadStage(runtime, data.graphPath, stage, data);
    post({ type: 'ready', emptyResidentBytes });
  } catch (error) {
    post({ type: 'load-failed', error: AiosError.from(error, 'MODEL_LOAD_FAILED').serialize() });
    port.close();
    return;
  }
  let lastBatchMs = 0;
  for (;;) {
    readInbox(runner);
    if (closing) break;
    if (scheduler.expectsMore) {
      await moreRows(runner, Math.min(lastBatchMs * waitFraction, maxWaitMs));
      if (closing) break;
    }
    const movableTokens = (lastBatchMs * 1e6 * moveFraction) / nsPerMovedToken;
    const work = scheduler.next(movableTokens);
    if (!work) {
      await message();
      continue;
    }
    const startedMs = performance.now();
    await compute(runner, work);
    if (work.type === 'decode') lastBatchMs = performance.now() - startedMs;
  }
  await runner.release();
  port.close();
}

/** Resolves when a message comes, or after a time. */
function message(timeoutMs?: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = timeoutMs === undefined ? undefined : setTimeout(resolve, timeoutMs);
    wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

async function moreRows(runner: StageRunner, waitMs: number): Promise<void> {
  const untilMs = performance.now() + waitMs;
  while (scheduler.expectsMore && !closing) {
    const leftMs = untilMs - performance.now();
    // A timer is never shorter than a millisecond.
    if (leftMs < 0.5) return;
    await message(leftMs);
    readInbox(runner);
  }
}

function readInbox(runner: StageRunner): void {
  // What has come and was not yet delivered belongs in this batch, too.
  for (;;) {
    const next = receiveMessageOnPort(port);
    if (!next) break;
    inbox.push(next.message as ToStageWorker);
  }
  for (const message of inbox.splice(0)) receive(runner, message);
}

function receive(runner: StageRunner, message: ToStageWorker): void {
  if (message.type === 'open') {
    const { session, options, shared } = message;
    const { slot, copies } = scheduler.open(session, options.tenant ?? '', shared);
    for (const { from, to, tokens } of copies) runner.copy(from, to, tokens);
    kvMoves += copies.length;
    runner.open(slot, options);
  } else if (message.type === 'close-session') {
    broken.delete(message.session);
    const swap = scheduler.close(message.session, message.keep);
    if (!swap) return;
    runner.swap(...swap);
    kvMoves += swap[1].tokens > 0 ? 2 : 1;
  } else if (message.type === 'step') {
    const error = broken.get(message.session);
    if (error) post({ type: 'step-failed', id: message.step.id, error });
    else scheduler.push(message.session, message.step);
  } else closing = true;
}

async function compute(runner: StageRunner, { type, swaps, steps }: StageWork): Promise<void> {
  let outcomes: readonly StepOutcome[];
  const started = process.hrtime.bigint();
  if (swaps.length > 0) bringTogether(runner, swaps);
  // A price that was measured too high is not paid, so not measured again: it falls until it is.
  else nsPerMovedToken *= 0.99;
  const [first] = steps;
  try {
    outcomes =
      steps.length === 1 && first ? [await runner.run(first)] : await runner.runBatch(steps);
  } catch (error) {
    outcomes = steps.map(() => ({ type: 'failed', error }));
  }
  const computeNs = Number(process.hrtime.bigint() - started);
  const ends = steps.map(({ id, session }, at): StepEnd => {
    const outcome = outcomes[at] ?? { type: 'failed', error: new Error('no result') };
    if (outcome.type !== 'failed') return { id, result: outcome };
    const error = AiosError.from(outcome.error, 'BLOCK_FAILED').serialize();
    broken.set(session, error);
    for (const waiting of scheduler.drop(session)) {
      post({ type: 'step-failed', id: waiting.id, error });
    }
    return { id, error };
  });
  const buffers = ends.flatMap((one) =>
    'result' in one && one.result.type === 'activations' ? [one.result.buffer] : [],
  );
  const outputCopies = steps.length > 1 ? buffers.length : 0;
  post({ type: 'batch-end', kind: type, computeNs, ends, kvMoves, outputCopies }, buffers);
}

function bringTogether(runner: StageRunner, swaps: StageWork['swaps']): void {
  const startedMs = performance.now();
  let tokens = 0;
  for (const [a, b] of swaps) {
    runner.swap(a, b);
    tokens += a.tokens + b.tokens;
    kvMoves += 2;
  }
  const ns = ((performance.now() - startedMs) * 1e6) / Math.max(1, tokens);
  // A thread that was put aside in between says nothing of the price.
  nsPerMovedToken += (Math.min(ns, 2 * nsPerMovedToken) - nsPerMovedToken) / 4;
}
