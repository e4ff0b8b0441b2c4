import { type ChildProcess, fork } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { AiosError, SplitError } from '../../sdk/errors.ts';
import type { HookOutput } from '../../sdk/hooks.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import type { SplitLayerContext } from '../../sdk/split-context.ts';
import type { ModelOutline } from '../../sdk/splitter.ts';
import { childEnvironment } from '../child-environment.ts';
import { entryPath } from '../entry.ts';
import type { SplitProgress } from '../model/index.ts';
import { type Heard, invalidPlan, readMessage, readPlan } from './from-worker.ts';
import { findFileProblems } from './plan-files.ts';
import { type Ended, killGroup, whenEnded } from './process-group.ts';
import { readLines } from './read-lines.ts';
import {
  type ToWorker,
  type WorkerCall,
  type WorkerOrder,
  workerLimits,
} from './worker-protocol.ts';

export interface RunWorkerOptions {
  readonly order: WorkerOrder;
  /** Asks the planner. */
  readonly plan: (outline: ModelOutline) => Promise<HookOutput<'splitPlanner', 'plan'>>;
  readonly layers: SplitLayerContext;
  readonly onProgress: (progress: SplitProgress) => void;
  readonly onLog: (line: string) => void;
  readonly signal: AbortSignal;
  /** Most of the JavaScript heap. @default 1024 */
  readonly heapMebibytes?: number;
}

/**
 * Splits a model in a process of its own, which cannot take this one down, and leaves nothing behind however it ends.
 *
 * @throws {AiosError} what the splitter throws; SPLITTER_FAILED - the process ended by itself; BUNDLE_FAILED; CANCELLED
 */
export async function runSplitWorker(options: RunWorkerOptions): Promise<SplitPlan> {
  const { order, signal, onLog, heapMebibytes = workerLimits.heapMebibytes } = options;
  const child = fork(entryPath('runtime/split-task/worker.js'), [], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // Authors' code runs in it: no credentials, and with what it starts a group that can be killed.
    ...{ env: childEnvironment(), detached: true },
    execArgv: ['--enable-source-maps', `--max-old-space-size=${heapMebibytes}`],
  });
  let staging: string | undefined;
  let last: Extract<Heard, { type: 'done' | 'failed' }> | undefined;
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) readLines(stream, workerLimits.lineCharacters, onLog);
  }
  child.on('message', (said) => {
    const message = readMessage(said);
    if (!message) return;
    if (message.type === 'staging') staging = stagingOf(order, message.path);
    else if (message.type === 'done' || message.type === 'failed') last = message;
    else if (message.type === 'call') void answer(child, message, options);
    else if (message.type === 'log') onLog(message.line);
    else if (message.type === 'progress') options.onProgress(message.progress);
  });
  let killing: NodeJS.Timeout | undefined;
  const cancel = (): void => {
    tell(child, { type: 'cancel' });
    killing ??= setTimeout(() => killGroup(child), workerLimits.graceMs);
  };
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const ended = whenEnded(child);
    tell(child, { type: 'start', order });
    if (signal.aborted) cancel();
    const how = await ended;
    // What it wrote is moved to its place in one step: until it said so, it is not there.
    // The built-in splitters' own leavings are taken up by the next attempt.
    const isOwn = order.splitterFile !== undefined;
    if (last?.type !== 'done' && staging && isOwn) {
      await rm(staging, { recursive: true, force: true });
    }
    if (last?.type === 'done') return await checkedPlan(last.plan, order);
    if (signal.aborted) {
      throw new SplitError('CANCELLED', 'the split was cancelled; nothing was kept.');
    }
    if (last) throw last.error;
    throw endedByItself(how, heapMebibytes);
  } finally {
    clearTimeout(killing);
    signal.removeEventListener('abort', cancel);
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

function tell(child: ChildProcess, message: ToWorker): void {
  if (child.connected) child.send(message, () => undefined);
}

async function answer(
  child: ChildProcess,
  { call, method, argument }: Extract<Heard, { type: 'call' }>,
  { plan, layers }: RunWorkerOptions,
): Promise<void> {
  const methods: { readonly [M in WorkerCall]: () => Promise<unknown> } = {
    plan: () => plan(argument as ModelOutline),
    findLayer: () => layers.find(String(argument)),
    registerLayer: () => layers.register(argument as { hash: string }),
  };
  try {
    tell(child, { type: 'answer', call, value: await methods[method]() });
  } catch (thrown) {
    tell(child, { type: 'refusal', call, error: AiosError.from(thrown).serialize() });
  }
}
