import { AiosError, PolicyError } from '../../../sdk/errors.ts';
import { graphEnds } from '../../../sdk/graph.ts';
import type { PolicyState } from '../../../sdk/hooks.ts';
import type { Json } from '../../../sdk/packet.ts';
import type { PolicyReference } from '../../../sdk/spec/common.ts';
import { executionLimits, type GraphExecution } from '../../../sdk/spec/execution.ts';
import { linkSignals } from '../../linked-signal.ts';
import {
  checkedState,
  type PolicyRunner,
  type RunAnswer,
  type RunRequest,
  runLimits,
} from '../runner.ts';

/** Threads that start are not the policy's time; what stands in line for longer than this is. */
const graceMs = 1000;

/** One call of a policy of hook `function`, its input and output checked. */
export interface FunctionCall
  extends Pick<
    RunRequest,
    'state' | 'nowMs' | 'seed' | 'timeLimitMs' | 'depth' | 'budget' | 'signal'
  > {
  readonly tenant: string;
  readonly reference: PolicyReference;
  readonly input: Json;
}

export type CallFunction = (call: FunctionCall) => Promise<RunAnswer & { readonly output: Json }>;

/** What one node reads: the whole input, its predecessor's answer, or an object of several by label. */
function inputOf(
  label: string,
  edges: GraphExecution['edges'],
  answers: ReadonlyMap<string, Json>,
  whole: Json,
): Json {
  const before = edges.filter(({ to }) => to === label).map(({ from }) => from);
  const [only] = before;
  if (only === undefined) return whole;
  if (before.length === 1) return answers.get(only) ?? null;
  return Object.fromEntries(before.map((from) => [from, answers.get(from) ?? null]));
}

/** Who no longer waits, or may no longer, is told at once, whether or not what runs can be ended. */
function whileWaited<T>(signal: AbortSignal, limitMs: number, task: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(new PolicyError('CANCELLED', 'was cancelled.'));
    const late = (): void =>
      reject(new PolicyError('POLICY_TIMEOUT', `no answer in the ${limitMs} ms that were left.`));
    // What runs has the same limit and says it better: this is for what stands in somebody's line.
    const timer = setTimeout(late, limitMs + graceMs);
    signal.addEventListener('abort', leave, { once: true });
    task.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
    });
  });
}

/**
 * Runs functions joined by edges: each as soon as all it reads is there, so branches run side by side. The first that
 * fails ends the others, and nobody waits for what cannot be ended. Under a graph each node keeps a state of its own, but
 * for deployed functions, which have theirs.
 */
export function createGraphRunner(
  uri: string,
  graph: GraphExecution,
  call: CallFunction,
): PolicyRunner {
  const { nodes, edges } = graph;
  const [last] = graphEnds({ nodes, edges }).tails;

  async function run(request: RunRequest): Promise<RunAnswer> {
    const { hook, depth = 0, nowMs, seed, tenant = 'default' } = request;
    if (request.command) {
      const message = `policy '${uri}' is a graph, which takes no commands. Send them to its deployed functions: aios policy manage function/URI COMMAND`;
      throw new PolicyError('UNSUPPORTED', message);
    }
    if (depth >= executionLimits.graphDepth) {
      throw new PolicyError(
        'POLICY_LIMIT_EXCEEDED',
        `policy '${uri}' stands inside ${depth} graphs; at most ${executionLimits.graphDepth} are entered. Does it call itself?`,
      );
    }
    const { budget = { calls: executionLimits.graphCalls }, timeLimitMs } = request;
    const deadlineMs = performance.now() + timeLimitMs;
    const failed = new AbortController();
    const either = linkSignals(failed.signal, request.signal);
    const { signal } = either;
    const input = request.input as { readonly input: Json };
    const whole = hook === 'function' ? input.input : (input as Json);
    const answers = new Map<string, Json>();
    const states = new Map(Object.entries(request.state as Record<string, PolicyState>));
    const changed = new Map<string, PolicyState>();
    const logs: string[] = [];
    const started = new Map<string, Promise<void>>();

    async function runNode(index: number): Promise<void> {
      const node = nodes[index];
      if (!node) return;
      const { label, policyRuleURI, parameters, settings } = node;
      const before = edges.filter(({ to }) => to === label);
      await Promise.all(before.map(({ from }) => start(from)));
      const kept = states.get(label) ?? {};
      // Another branch failed: its fault is told.
      if (failed.signal.aborted) return;
      const leftMs = Math.ceil(deadlineMs - performance.now());
      try {
        if (signal.aborted) throw new PolicyError('CANCELLED', 'was cancelled.');
        if (leftMs <= 0) {
          throw new PolicyError(
            'POLICY_TIMEOUT',
            `not come to within ${timeLimitMs} ms, the limit of the whole.`,
          );
        }
        budget.calls -= 1;
        if (budget.calls < 0) {
          throw new PolicyError(
            'POLICY_LIMIT_EXCEEDED',
            `not called: the graph and those inside it call more than ${executionLimits.graphCalls} functions.`,
          );
        }
        const called = call({
          reference: { policyRuleURI, parameters, settings },
          input: inputOf(label, edges, answers, whole),
          state: kept,
          // Of its own, and the same however the branches interleave.
          seed: (seed + Math.imul(index + 1, 0x9e3779b1)) >>> 0,
          ...{ tenant, nowMs, timeLimitMs: leftMs, depth: depth + 1, budget, signal },
        });
        const answer = await whileWaited(signal, leftMs, called);
        answers.set(label, answer.output);
        if (answer.state !== kept) changed.set(label, answer.state);
        logs.push(...answer.logs.map((line) => `${label}: ${line}`));
      } catch (fault) {
        const { code, message, problems } = AiosError.from(fault);
        if (failed.signal.aborted && code === 'CANCELLED') return;
        failed.abort();
        throw new PolicyError(code, `node '${label}' of graph '${uri}': ${message}`, {
          problems,
          details: { logs: logs.slice(0, runLimits.logLines) },
          cause: fault,
        });
      }
    }

    function start(label: string): Promise<void> {
      const index = nodes.findIndex((node) => node.label === label);
      const running = started.get(label) ?? runNode(index);
      started.set(label, running);
      return running;
    }

    const ended = await Promise.allSettled(nodes.map(({ label }) => start(label)));
    either.release();
    const fault = ended.find((end) => end.status === 'rejected');
    if (fault) throw fault.reason;
    const output = last === undefined ? null : (answers.get(last) ?? null);
    return {
      output: hook === 'function' ? { output } : output,
      state:
        changed.size > 0
          ? checkedState(uri, Object.fromEntries([...states, ...changed]))
          : request.state,
      logs: logs.slice(0, runLimits.logLines),
    };
  }

  return { run };
}
