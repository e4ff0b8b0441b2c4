import { parentPort, workerData } from 'node:worker_threads';
import { getQuickJS, type QuickJSContext, type QuickJSHandle } from 'quickjs-emscripten';
import { runLimits } from './runner.ts';
import { guestSource } from './sandbox-guest.ts';
import type { SandboxBoot, SandboxCall, SandboxFault, SandboxReply } from './sandbox-protocol.ts';
import { bundleName, createLineFinder } from './source-lines.ts';

const maxMessageCharacters = 1000;
const maxStackCharacters = 4000;
const maxIssues = 20;
const maxIssueCharacters = 64 * 1024;
const limitPattern = /out of memory|stack overflow|call stack|string too long/i;

/** QuickJS's word for code that the clock ended. */
const interrupted = 'interrupted';

/**
 * The clock of one call. QuickJS asks about every 10,000 steps of the code, a fraction of a millisecond; what it raises at
 * «late» cannot be caught inside. A thread that got no processor is not late before it has taken some steps.
 */
const clock = { deadlineMs: 0, questions: 0, leastQuestions: 0, isOver: false };

function startClock(limitMs: number): void {
  clock.deadlineMs = Date.now() + limitMs;
  clock.questions = 0;
  clock.leastQuestions = limitMs / 4;
  clock.isOver = false;
}

function isLate(): boolean {
  clock.questions += 1;
  clock.isOver ||= clock.questions >= clock.leastQuestions && Date.now() >= clock.deadlineMs;
  return clock.isOver;
}

interface Thrown {
  readonly name?: string;
  readonly message?: string;
  readonly stack?: string;
}

/** Getters of a hostile error may throw too. */
function dump(context: QuickJSContext, handle: QuickJSHandle): Thrown {
  try {
    const value: unknown = context.dump(handle);
    return typeof value === 'object' && value !== null
      ? (value as Thrown)
      : { message: String(value) };
  } catch {
    return { message: 'something that cannot be shown' };
  } finally {
    handle.dispose();
  }
}

function toFault(thrown: Thrown, locate: (stack: string) => string | undefined): SandboxFault {
  const message = `${thrown.message ?? 'no message'}`.slice(0, maxMessageCharacters);
  const at = locate(`${thrown.stack ?? ''}`.slice(0, maxStackCharacters));
  const type = message === interrupted ? 'timeout' : limitPattern.test(message) ? 'limit' : 'threw';
  return { type, message, ...(at === undefined ? {} : { at }) };
}

/** A policy's own context, kept from call to call: loading a bundle takes a tenth of a second, a call a fraction of one ms. */
async function load(boot: SandboxBoot) {
  const quickJs = await getQuickJS();
  const runtime = quickJs.newRuntime();
  runtime.setMemoryLimit(boot.memoryBytes);
  runtime.setMaxStackSize(boot.stackBytes);
  runtime.setInterruptHandler(isLate);
  const context = runtime.newContext();
  const locate = createLineFinder(boot.source);
  const fail = (thrown: Thrown): SandboxFault => toFault(thrown, locate);

  startClock(boot.loadTimeLimitMs);
  const harness = context.unwrapResult(context.evalCode(guestSource, 'harness.js'));
  const loaded = context.evalCode(boot.source, bundleName, { type: 'module' });
  if (loaded.error) return { fault: fail(dump(context, loaded.error)) };
  runtime.executePendingJobs(1000).dispose();
  const state = context.getPromiseState(loaded.value);
  if (state.type === 'rejected') return { fault: fail(dump(context, state.error)) };
  if (state.type === 'pending') {
    return { fault: fail({ message: 'top-level await never ends in a policy' }) };
  }
  const policy = context.getProp(state.value, boot.entry);
  const kind = context.typeof(policy) === 'object' ? context.getProp(policy, 'type') : undefined;
  const hook = kind && context.dump(kind) === 'policy' && context.getProp(policy, 'hook');
  const found: unknown = hook ? context.dump(hook) : undefined;
  if (found !== boot.hook) {
    const seen = found === undefined ? 'no policy' : `a policy of hook '${String(found)}'`;
    const message = `export '${boot.entry}' of the bundle is ${seen}; expected what definePolicy({ hook: '${boot.hook}' }) gives`;
    return { fault: { type: 'output-invalid', message } satisfies SandboxFault };
  }
  const evaluate = context.unwrapResult(context.callFunction(harness, context.undefined, policy));

  return (call: SandboxCall): SandboxReply => {
    startClock(call.timeLimitMs);
    const request = context.newString(call.request);
    const result = context.callFunction(evaluate, context.undefined, request);
    request.dispose();
    if (result.error) {
      return { type: 'fault', fault: fail(dump(context, result.error)), logs: [], spent: true };
    }
    if (context.typeof(result.value) !== 'string') {
      result.value.dispose();
      const fault = { type: 'output-invalid', message: 'its answer has no JSON form' } as const;
      return { type: 'fault', fault, logs: [], spent: true };
    }
    const length = context.getProp(result.value, 'length');
    const characters = context.dump(length) as number;
    if (!(characters <= boot.outputCharacters)) {
      result.value.dispose();
      const message = `answered ${characters} characters of JSON; at most ${boot.outputCharacters} are read`;
      return { type: 'fault', fault: { type: 'limit', message }, logs: [], spent: true };
    }
    const text = context.getString(result.value);
    result.value.dispose();
    // An async function turns what ends it into a rejected promise, and the rest goes on.
    if (clock.isOver) {
      return { type: 'fault', fault: fail({ message: interrupted }), logs: [], spent: true };
    }
    return read(text, fail);
  };
}

/** The guest's text is as hostile as the guest: only its shape is trusted after this. */
function read(text: string, fail: (thrown: Thrown) => SandboxFault): SandboxReply {
  const reply = JSON.parse(text) as { type?: unknown; logs?: unknown } & Thrown &
    Omit<SandboxFault, 'type'>;
  const given: readonly unknown[] = Array.isArray(reply.logs) ? reply.logs : [];
  const logs = given
    .slice(0, runLimits.logLines)
    .map((line) => String(line).slice(0, runLimits.logLineCharacters));
  if (reply.type === 'answer')
    return { ...(reply as unknown as SandboxReply & { type: 'answer' }), logs };
  if (reply.type === 'threw') {
    const fault = fail(reply);
    return { type: 'fault', fault, logs, spent: fault.type !== 'threw' };
  }
  const message = `${reply.message}`.slice(0, maxMessageCharacters);
  const fault: SandboxFault =
    reply.type === 'configuration-invalid'
      ? {
          type: 'configuration-invalid',
          message,
          map: reply.map === 'settings' ? 'settings' : 'parameters',
          issues: firstIssues(reply.issues),
        }
      : { type: reply.type === 'no-management' ? 'no-management' : 'output-invalid', message };
  return { type: 'fault', fault, logs, spent: false };
}

/** Of a schema that finds more than can be told, none: the message still says whose schema it is. */
function firstIssues(issues: unknown): NonNullable<SandboxFault['issues']> {
  const first = Array.isArray(issues) ? issues.slice(0, maxIssues) : [];
  return JSON.stringify(first).length <= maxIssueCharacters ? first : [];
}

const port = parentPort;
if (!port) throw new Error('runtime/policy/sandbox-worker runs as a worker thread only');
const send = (reply: SandboxReply): void => port.postMessage(reply);

const evaluator = await load(workerData as SandboxBoot);
if (typeof evaluator === 'function') {
  port.on('message', (call: SandboxCall) => {
    try {
      send(evaluator(call));
    } catch (fault) {
      // Not the policy's fault as such, but its doing: QuickJS itself ran out of something.
      const message = fault instanceof Error ? fault.message : String(fault);
      send({ type: 'fault', fault: { type: 'limit', message }, logs: [], spent: true });
    }
  });
  send({ type: 'loaded' });
} else {
  send({ type: 'fault', fault: evaluator.fault, logs: [], spent: true });
}
