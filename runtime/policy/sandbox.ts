import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { type ErrorCode, PolicyError, type Problem } from '../../sdk/errors.ts';
import { problemsOf } from '../../sdk/spec/issues.ts';
import { Reading } from '../../sdk/spec/reading.ts';
import { entryPath } from '../entry.ts';
import { Resident } from './resident.ts';
import {
  checkedState,
  type PolicyRunner,
  type RunAnswer,
  type RunRequest,
  runLimits,
} from './runner.ts';
import type {
  GuestRequest,
  SandboxBoot,
  SandboxCall,
  SandboxFault,
  SandboxReply,
} from './sandbox-protocol.ts';

export interface SandboxOptions {
  readonly uri: string;
  readonly hook: string;
  readonly source: string;
  readonly entry: string;
}

export interface Sandbox extends PolicyRunner {
  /** No evaluation runs or waits. */
  readonly idle: boolean;
  /** Ends the thread once nothing runs or waits. Another evaluation starts another thread. */
  rest(): Promise<void>;
  /** Ends the thread at once. */
  close(): Promise<void>;
}

const memoryBytes = 64 * 2 ** 20;
const loadTimeLimitMs = 5000;
/** Past a time limit the thread is given this long to stop by itself before it is ended. */
const graceMs = 1000;
const maxWaiting = 100;
/** A policy that goes past its limits so many times in a row is not run for a while: each time costs a thread. */
const maxStrikes = 3;
const pauseMs = 10_000;

const codes: Record<SandboxFault['type'], ErrorCode> = {
  threw: 'POLICY_THREW',
  timeout: 'POLICY_TIMEOUT',
  limit: 'POLICY_LIMIT_EXCEEDED',
  'output-invalid': 'POLICY_OUTPUT_INVALID',
  'configuration-invalid': 'SPEC_INVALID',
  'no-management': 'UNSUPPORTED',
};

function sentence(fault: SandboxFault, timeLimitMs: number): string {
  const at = fault.at === undefined ? '' : ` (${fault.at})`;
  // The author's own sentence may end in the full stop that this one adds.
  const said = fault.message.replace(/\.$/, '');
  switch (fault.type) {
    case 'threw':
      return `threw: ${said}${at}`;
    case 'timeout':
      return `did not end within ${timeLimitMs} ms${at}`;
    case 'limit':
      return `went past a limit of its sandbox: ${said}${at}`;
    case 'output-invalid':
      return `is wrong: ${said}`;
    case 'configuration-invalid':
      return `refuses its ${fault.map}`;
    case 'no-management':
      return 'takes no commands: it defines no management(action, data, context)';
  }
}

/** The guest says what its own schema found: what does not have the shape of issues is left out. */
function issueProblems(issues: unknown, seen: unknown, reading: Reading): readonly Problem[] {
  try {
    return problemsOf(issues as readonly z.core.$ZodIssue[], z.unknown(), seen, reading);
  } catch {
    return [];
  }
}

/**
 * Runs one uploaded policy in QuickJS on a thread of its own: no host objects, 64 MiB of memory, a time limit that the
 * interpreter keeps and, should it fail to, a watchdog that ends the thread. Evaluations queue; a thread that went past
 * any limit is replaced before the next one.
 */
export function createSandbox(options: SandboxOptions): Sandbox {
  const { uri } = options;
  let thread: Promise<Worker> | undefined;
  const resident = new Resident();
  let tail: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let strikes = 0;
  let pausedUntilMs = 0;

  function toError(fault: SandboxFault, logs: readonly string[], request: RunRequest): PolicyError {
    const reading = new Reading();
    reading.place([], `$.policies.${request.hook}.${fault.map ?? 'parameters'}`);
    const seen = fault.map === 'settings' ? request.settings : request.parameters;
    const problems = fault.issues ? issueProblems(fault.issues, seen, reading) : [];
    const message = `policy '${uri}' ${sentence(fault, request.timeLimitMs)}.`;
    return new PolicyError(codes[fault.type], message, { problems, details: { logs } });
  }

  /** Waits for the next reply; a thread that dies or stays silent is a fault like any other. */
  function reply(worker: Worker, limitMs: number): Promise<SandboxReply> {
    return new Promise((resolve) => {
      const settle = (result: SandboxReply): void => {
        clearTimeout(watchdog);
        worker.off('message', settle).off('error', failed).off('exit', ended);
        resolve(result);
      };
      const lost = (type: 'timeout' | 'limit', message: string): void =>
        settle({ type: 'fault', fault: { type, message }, logs: [], spent: true });
      const watchdog = setTimeout(() => lost('timeout', 'its thread was ended'), limitMs + graceMs);
      const failed = (fault: unknown): void =>
        lost('limit', `its thread failed: ${fault instanceof Error ? fault.message : fault}`);
      const ended = (): void => lost('limit', 'its thread ended');
      worker.once('message', settle).once('error', failed).once('exit', ended);
    });
  }

  async function retire(worker: Worker): Promise<void> {
    thread = undefined;
    strikes += 1;
    if (strikes >= maxStrikes) pausedUntilMs = Date.now() + pauseMs;
    await worker.terminate();
  }

  async function start(request: RunRequest): Promise<Worker> {
    resident.clear();
    const boot: SandboxBoot = {
      ...options,
      memoryBytes,
      stackBytes: 256 * 1024,
      loadTimeLimitMs,
      outputCharacters: runLimits.outputCharacters,
    };
    const worker = new Worker(entryPath('runtime/policy/sandbox-worker.js'), {
      workerData: boot,
      env: {},
      execArgv: [],
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: 128, stackSizeMb: 4 },
    });
    worker.unref();
    // A thread that fails between two evaluations is found out by the next one.
    worker.on('error', () => undefined);
    const first = await reply(worker, loadTimeLimitMs);
    if (first.type === 'loaded') return worker;
    await retire(worker);
    throw first.type === 'fault'
      ? toError(first.fault, first.logs, { ...request, timeLimitMs: loadTimeLimitMs })
      : new PolicyError('INTERNAL', `the sandbox of policy '${uri}' answered before it was asked.`);
  }

  const cancelled = (): PolicyError =>
    new PolicyError('CANCELLED', `policy '${uri}': nobody waits for its answer any more.`);

  async function runNext(request: RunRequest): Promise<RunAnswer> {
    if (request.signal?.aborted) throw cancelled();
    if (Date.now() < pausedUntilMs) {
      const message = `it did so ${strikes} times in a row and rests for ${pauseMs / 1000} s`;
      throw toError({ type: 'limit', message }, [], request);
    }
    thread ??= start(request);
    const worker = await thread.catch((fault: unknown) => {
      thread = undefined;
      throw fault;
    });
    if (request.signal?.aborted) throw cancelled();
    const { input, parameters, settings, state, nowMs, seed, timeLimitMs } = request;
    const { logLines, logLineCharacters } = runLimits;
    const guest: GuestRequest = {
      ...resident.encode(input),
      ...{ parameters, settings, state, seed, logLines, logLineCharacters },
      now: nowMs,
      ...(request.command ? { command: request.command } : {}),
    };
    const answered = reply(worker, timeLimitMs);
    const call: SandboxCall = { timeLimitMs, request: JSON.stringify(guest) };
    // The next one must not wait for what nobody waits for: the thread is ended, and that is no fault of the policy.
    const end = (): void => void worker.terminate();
    request.signal?.addEventListener('abort', end, { once: true });
    worker.postMessage(call);
    const result = await answered;
    request.signal?.removeEventListener('abort', end);
    if (request.signal?.aborted) {
      thread = undefined;
      await worker.terminate();
      if (result.type !== 'answer') throw cancelled();
    }
    if (result.type === 'answer') {
      strikes = 0;
      return { output: result.output, logs: result.logs, state: checkedState(uri, result.state) };
    }
    if (result.type === 'loaded' || result.spent) await retire(worker);
    else strikes = 0;
    const fault: SandboxFault =
      result.type === 'fault' ? result.fault : { type: 'limit', message: 'its thread restarted' };
    throw toError(fault, result.type === 'fault' ? result.logs : [], request);
  }

  async function end(): Promise<void> {
    const worker = await thread?.catch(() => undefined);
    thread = undefined;
    await worker?.terminate();
  }

  return {
    get idle() {
      return waiting === 0;
    },
    run(request) {
      if (waiting >= maxWaiting) {
        const message = `policy '${uri}' has ${maxWaiting} evaluations waiting; retry later.`;
        return Promise.reject(new PolicyError('BUSY', message));
      }
      waiting += 1;
      const result = tail.then(() => runNext(request));
      tail = result.then(
        () => {
          waiting -= 1;
        },
        () => {
          waiting -= 1;
        },
      );
      return result;
    },
    rest() {
      const rested = tail.then(end);
      tail = rested.catch(() => undefined);
      return rested;
    },
    close: end,
  };
}
