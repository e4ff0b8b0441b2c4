/** Runs in a process of its own: splits one model, with an author's splitter or a built-in one, and ends. */
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AiosError, type SerializedError, SplitError } from '../../sdk/errors.ts';
import type { Splitter } from '../../sdk/splitter.ts';
import { splitModel, splitters } from '../model/index.ts';
import { guardSplitter, placeInBundle } from './guarded-splitter.ts';
import {
  type FromWorker,
  type ToWorker,
  type WorkerCall,
  type WorkerOrder,
  workerLimits,
} from './worker-protocol.ts';

const controller = new AbortController();
const waiting = new Map<number, (answer: ToWorker) => void>();
let calls = 0;

const send = (message: FromWorker): void => {
  if (process.connected) process.send?.(message);
};

/** Asks the parent. */
function ask<T>(method: WorkerCall, argument: unknown): Promise<T> {
  const call = calls;
  calls += 1;
  return new Promise((resolve, reject) => {
    waiting.set(call, (answer) => {
      waiting.delete(call);
      if (answer.type === 'refusal') reject(AiosError.deserialize(answer.error));
      else resolve((answer as { value?: T }).value as T);
    });
    send({ type: 'call', call, method, argument });
  });
}

/** @throws {SplitError} BUNDLE_FAILED */
async function importSplitter(file: string): Promise<Splitter> {
  let module: { default?: Partial<Splitter> };
  try {
    module = await import(pathToFileURL(file).href);
  } catch (cause) {
    const { message, stack = '' } = cause instanceof Error ? cause : new Error(String(cause));
    const path = placeInBundle(stack, dirname(file)) ?? 'the bundle';
    throw new SplitError('BUNDLE_FAILED', `the splitter cannot be imported: ${message}`, {
      ...{ cause, problems: [{ path, message }] },
    });
  }
  if (module.default?.type === 'splitter') return module.default as Splitter;
  const seen = Object.keys(module).join(', ') || 'nothing';
  throw new SplitError(
    'BUNDLE_FAILED',
    `the default export must be the result of defineSplitter(); the file exports ${seen}.`,
  );
}

async function chooseSplitters({ split, splitterFile }: WorkerOrder): Promise<readonly Splitter[]> {
  const onStaging = (path: string): void => send({ type: 'staging', path });
  if (splitterFile === undefined) {
    return splitters.map((one) => guardSplitter(one, undefined, onStaging));
  }
  const own = guardSplitter(await importSplitter(splitterFile), dirname(splitterFile), onStaging);
  if (await own.accepts(split.modelFolder)) return [own];
  throw new SplitError(
    'ARCHITECTURE_UNSUPPORTED',
    `splitter '${own.name}' does not take ${split.modelFolder}: it is for ${own.description}`,
  );
}

async function run(order: WorkerOrder): Promise<FromWorker> {
  const { id, attempt } = order.task;
  let reported = { stage: '', atMs: 0 };
  const log = (line: string): void =>
    send({ type: 'log', line: String(line).slice(0, workerLimits.lineCharacters) });
  const plan = await splitModel({
    ...order.split,
    splitters: await chooseSplitters(order),
    signal: controller.signal,
    plan: (outline) => ask('plan', outline),
    layers: {
      find: (hash) => ask('findLayer', hash),
      register: (layer) => ask('registerLayer', layer),
    },
    task: { id, attempt, log },
    onProgress(progress) {
      const atMs = Date.now();
      const isNew = progress.stage !== reported.stage || progress.fraction >= 1;
      if (!isNew && atMs - reported.atMs < workerLimits.progressMs) return;
      reported = { stage: progress.stage, atMs };
      const message = String(progress.message).slice(0, workerLimits.lineCharacters);
      send({ type: 'progress', progress: { ...progress, message } });
    },
  });
  return { type: 'done', plan };
}

function failure(thrown: unknown): SerializedError {
  const error = controller.signal.aborted
    ? new SplitError('CANCELLED', 'the split was cancelled; nothing was kept.')
    : AiosError.from(thrown);
  return error.serialize();
}

async function start(order: WorkerOrder): Promise<void> {
  const last = await run(order).catch(
    (thrown: unknown): FromWorker => ({ type: 'failed', error: failure(thrown) }),
  );
  if (!process.connected) process.exit(1);
  process.send?.(last, () => process.exit(0));
}

process.on('message', (message: ToWorker) => {
  if (message.type === 'start') void start(message.order);
  else if (message.type === 'cancel') controller.abort();
  else waiting.get(message.call)?.(message);
});
// Whoever wanted the split is gone: what was written is removed, then this process ends.
process.on('disconnect', () => {
  controller.abort();
  setTimeout(() => process.exit(1), workerLimits.graceMs);
});
