/** Runs in a process of its own: splits one model, with an author's splitter or a built-in one, and ends. */
import { once } from 'node:events';
import { Socket } from 'node:net';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { AiosError, type SerializedError, SplitError } from '../../sdk/errors.ts';
import type { Splitter } from '../../sdk/splitter.ts';
import { entryPath } from '../entry.ts';
import { previewSplit, type SplitModelOptions, splitModel, splitters } from '../model/index.ts';
import { guardSplitter, placeInBundle } from './guarded-splitter.ts';
import { readMessages, writeMessage } from './message-pipe.ts';
import { killGroupOf } from './process-group.ts';
import {
  type FromWorker,
  type ToWorker,
  type WorkerCall,
  type WorkerOrder,
  workerLimits,
  workerPipe,
} from './worker-protocol.ts';

const parentPid = Number(process.argv[2]);
const watch = new Worker(entryPath('runtime/split-task/parent-watch.js'), {
  workerData: { parentPid },
});
watch.unref();
const watches = once(watch, 'online');
const pipe = new Socket({ fd: workerPipe, readable: true, writable: true });
const controller = new AbortController();
const waiting = new Map<number, (answer: ToWorker) => void>();
let calls = 0;
let isAlone = false;

const send = (message: FromWorker): Promise<void> => writeMessage(pipe, message);
const endWithGroup = (): void => killGroupOf(process.pid);

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
    void send({ type: 'call', call, method, argument });
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
  const onStaging = (path: string): void => void send({ type: 'staging', path });
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
    void send({ type: 'log', line: String(line).slice(0, workerLimits.lineCharacters) });
  const options: SplitModelOptions = {
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
      void send({ type: 'progress', progress: { ...progress, message } });
    },
  };
  if (order.preview) return { type: 'previewed', preview: await previewSplit(options) };
  return { type: 'done', plan: await splitModel(options) };
}

function failure(thrown: unknown): SerializedError {
  const error = controller.signal.aborted
    ? new SplitError('CANCELLED', 'the split was cancelled; nothing was kept.')
    : AiosError.from(thrown);
  return error.serialize();
}

async function start(order: WorkerOrder): Promise<void> {
  await watches;
  const last = await run(order).catch(
    (thrown: unknown): FromWorker => ({ type: 'failed', error: failure(thrown) }),
  );
  if (isAlone) endWithGroup();
  await send(last);
  process.exit(0);
}

async function listen(): Promise<void> {
  for await (const said of readMessages(pipe)) {
    const message = said as ToWorker;
    if (message.type === 'start') void start(message.order);
    else if (message.type === 'cancel') controller.abort();
    else waiting.get(message.call)?.(message);
  }
  // Whoever wanted the split is gone: what was written is removed, then this process ends.
  isAlone = true;
  controller.abort();
  setTimeout(endWithGroup, workerLimits.graceMs);
}

// What is said to one who is gone is no fault, and no reason to end before what was written is removed.
for (const stream of [pipe, process.stdout, process.stderr]) stream.on('error', () => undefined);
process.on('exit', () => {
  if (process.ppid !== parentPid) endWithGroup();
});
void listen();
