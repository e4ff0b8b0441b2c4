import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { basename, dirname, resolve } from 'node:path';
import { AiosError, SplitError } from '../../sdk/errors.ts';
import type { HookOutput } from '../../sdk/hooks.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import type { SplitLayerContext } from '../../sdk/split-context.ts';
import type { ModelOutline } from '../../sdk/splitter.ts';
import { childEnvironment } from '../child-environment.ts';
import { entryPath } from '../entry.ts';
import type { SplitPreview, SplitProgress } from '../model/index.ts';
import { type Heard, invalidPlan, readMessage, readPlan, readPreview } from './from-worker.ts';
import { identify, type LeftProcess } from './left-process.ts';
import { readMessages, writeMessage } from './message-pipe.ts';
import { findFileProblems } from './plan-files.ts';
import { type Ended, killGroup, whenEnded } from './process-group.ts';
import { readLines } from './read-lines.ts';
import {
  type ToWorker,
  type WorkerCall,
  type WorkerOrder,
  workerLimits,
  workerPipe,
} from './worker-protocol.ts';

export interface RunWorkerOptions {
  readonly order: WorkerOrder;
  /** Asks the planner. */
  readonly plan: (outline: ModelOutline) => Promise<HookOutput<'splitPlanner', 'plan'>>;
  readonly layers: SplitLayerContext;
  readonly onProgress: (progress: SplitProgress) => void;
  readonly onLog: (line: string) => void;
  readonly signal: AbortSignal;
  /** Told which process it is before that is told anything; who ends before it can end it later by this. */
  readonly onStarted?: (worker: LeftProcess) => Promise<unknown>;
  /** Most of the JavaScript heap. @default 1024 */
  readonly heapMebibytes?: number;
}

/**
 * Splits a model in a process of its own, which cannot take this one down, and leaves nothing behind however it ends.
 *
 * @throws {AiosError} what the splitter throws; SPLITTER_FAILED - the process ended by itself; BUNDLE_FAILED; CANCELLED
 */
export async function runSplitWorker(options: RunWorkerOptions): Promise<SplitPlan> {
  const answer = await run(options);
  if (answer.type === 'done') return checkedPlan(answer.plan, options.order);
  throw new SplitError('SPLITTER_FAILED', 'the process that split the model gave no plan.');
}

/**
 * Asks a splitter, in such a process, what it would write; nothing is written.
 *
 * @throws {AiosError} as {@link runSplitWorker}; UNSUPPORTED - it cannot say
 */
export async function previewSplitWorker(options: RunWorkerOptions): Promise<SplitPreview> {
  const answer = await run({ ...options, order: { ...options.order, preview: true } });
  if (answer.type === 'previewed') return readPreview(answer.preview);
  throw new SplitError('SPLITTER_FAILED', 'the process that was to plan the split did not.');
}

type Answer = Extract<Heard, { type: 'done' | 'previewed' }>;

/** @returns what the process said last */
async function run(options: RunWorkerOptions): Promise<Answer> {
  const { order, signal, heapMebibytes = workerLimits.heapMebibytes } = options;
  const { child, pipe } = await spawnWorker(heapMebibytes);
  const said: Said = {};
  let broken: AiosError | undefined;
  const kill = (thrown: unknown): void => {
    broken ??= AiosError.from(thrown);
    killGroup(child);
  };
  let killing: NodeJS.Timeout | undefined;
  const cancel = (): void => {
    void writeMessage(pipe, { type: 'cancel' } satisfies ToWorker);
    killing ??= setTimeout(() => killGroup(child), workerLimits.graceMs);
  };
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const ended = whenEnded(child);
    const working = [
      giveOrder(child, pipe, options).catch(kill),
      hear(pipe, options, said).catch(kill),
      ...[child.stdout, child.stderr].flatMap((stream) =>
        stream ? [readLines(stream, workerLimits.lineCharacters, options.onLog).catch(kill)] : [],
      ),
    ];
    if (signal.aborted) cancel();
    const how = await ended;
    await Promise.all(working);
    const { last, staging } = said;
    // What it wrote is moved to its place in one step: until it said so, it is not there.
    // The built-in splitters' own leavings are taken up by the next attempt.
    const isOwn = order.splitterFile !== undefined;
    if (last?.type !== 'done' && staging && isOwn) {
      await rm(staging, { recursive: true, force: true });
    }
    if (last && last.type !== 'failed') return last;
    if (signal.aborted) {
      throw new SplitError('CANCELLED', 'the split was cancelled; nothing was kept.');
    }
    if (broken) throw broken;
    if (last) throw last.error;
    throw endedByItself(how, heapMebibytes);
  } finally {
    clearTimeout(killing);
    signal.removeEventListener('abort', cancel);
  }
}

/** @throws {SplitError} SPLITTER_FAILED - the system starts no process */
async function spawnWorker(
  heapMebibytes: number,
): Promise<{ readonly child: ChildProcess; readonly pipe: Socket }> {
  const child = spawn(
    process.execPath,
    [
      ...['--enable-source-maps', `--max-old-space-size=${heapMebibytes}`],
      ...[entryPath('runtime/split-task/worker.js'), String(process.pid)],
    ],
    {
      // No channel of Node's own: of that, nothing bounds what is read of a message.
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      // Authors' code runs in it: no credentials, and with what it starts a group that can be killed.
      ...{ env: childEnvironment(), detached: true },
    },
  );
  if (child.pid === undefined) {
    const [cause] = (await once(child, 'error')) as [Error];
    const message = `no process to split the model in can be started: ${cause.message}.`;
    throw new SplitError('SPLITTER_FAILED', message, { cause });
  }
  // How it ended says more than a pipe that broke.
  for (const stream of child.stdio) stream?.on('error', () => undefined);
  return { child, pipe: child.stdio[workerPipe] as Socket };
}

async function giveOrder(
  child: ChildProcess,
  pipe: Socket,
  { order, onStarted }: RunWorkerOptions,
): Promise<void> {
  const worker = onStarted && (await identify(child.pid));
  if (worker) await onStarted(worker);
  await writeMessage(pipe, { type: 'start', order } satisfies ToWorker);
}

interface Said {
  staging?: string | undefined;
  last?: Answer | Extract<Heard, { type: 'failed' }>;
}

/**
 * Does what the process says until its pipe ends.
 *
 * @throws {SplitError} SPLITTER_FAILED - it says too much at once
 */
async function hear(pipe: Socket, options: RunWorkerOptions, said: Said): Promise<void> {
  const calls = new Set<Promise<void>>();
  const closed = new Promise<void>((resolve) => pipe.once('close', () => resolve()));
  for await (const read of readMessages(pipe)) {
    // Its last word is the first that ends the split: what follows it is not even looked at.
    const message = said.last ? undefined : readMessage(read);
    if (!message) continue;
    if (message.type === 'staging') {
      said.staging = stagingOf(options.order, message.path);
    } else if (message.type === 'log') options.onLog(message.line);
    else if (message.type === 'progress') options.onProgress(message.progress);
    else if (message.type !== 'call') said.last = message;
    else {
      const call = answer(pipe, message, options)
        .catch(() => undefined)
        .finally(() => calls.delete(call));
      calls.add(call);
      if (calls.size >= workerLimits.calls) await Promise.race([...calls, closed]);
    }
  }
}

/** What an author's process calls done may be anything: read again, its files too. @throws {SplitError} SPLIT_PLAN_INVALID */
async function checkedPlan(
  answer: unknown,
  { split, splitterFile }: WorkerOrder,
): Promise<SplitPlan> {
  const plan = readPlan(answer, splitterFile === undefined ? 'built-in' : 'own');
  const problems = splitterFile ? await findFileProblems(plan, resolve(split.outFolder)) : [];
  if (problems.length > 0) throw invalidPlan(plan.splitter, problems);
  return plan;
}

function endedByItself({ code, signal }: Ended, heapMebibytes: number): SplitError {
  // Node ends itself so when its heap is full.
  const isFull = signal === 'SIGABRT' || code === 134;
  const how = signal ? `by ${signal}` : `with code ${code}`;
  const why = isFull
    ? `, most likely for want of memory: its heap may take ${heapMebibytes} MiB`
    : '';
  return new SplitError(
    'SPLITTER_FAILED',
    `the process that split the model ended ${how}${why}. Nothing was kept.`,
    { details: { code, signal } },
  );
}

/** The process says where it writes; only a folder beside the split's own place is ever removed for it. */
function stagingOf({ split }: WorkerOrder, path: string): string | undefined {
  const out = resolve(split.outFolder);
  const name = basename(path);
  const isOurs =
    dirname(path) === dirname(out) &&
    name.startsWith(`.${basename(out)}-`) &&
    resolve(path) === path;
  return isOurs ? path : undefined;
}

/** @returns once it is written: who asks and does not read waits too */
async function answer(
  pipe: Socket,
  { call, method, argument }: Extract<Heard, { type: 'call' }>,
  { plan, layers }: RunWorkerOptions,
): Promise<void> {
  const methods: { readonly [M in WorkerCall]: () => Promise<unknown> } = {
    plan: () => plan(argument as ModelOutline),
    findLayer: () => layers.find(String(argument)),
    registerLayer: () => layers.register(argument as { hash: string }),
  };
  try {
    const value = await methods[method]();
    await writeMessage(pipe, { type: 'answer', call, value } satisfies ToWorker);
  } catch (thrown) {
    const error = AiosError.from(thrown).serialize();
    await writeMessage(pipe, { type: 'refusal', call, error } satisfies ToWorker);
  }
}
