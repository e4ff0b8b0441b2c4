import type { ErrorCode } from '../../sdk/errors.ts';
import { type HookInput, type HookName, hooks, type OnError } from '../../sdk/hooks.ts';

/** Faults of the policy itself, which the hook's `onError` answers. */
export const evaluationFaults: ReadonlySet<ErrorCode> = new Set([
  'POLICY_THREW',
  'POLICY_TIMEOUT',
  'POLICY_OUTPUT_INVALID',
  'POLICY_LIMIT_EXCEEDED',
  'POLICY_UNREACHABLE',
  'BUSY',
]);

type LoadBalance = HookInput<'loadBalancer', 'load_balance'>;

function leastQueued({ instances }: Pick<LoadBalance, 'instances'>, action: string) {
  const [first] = [...instances].sort((a, b) => a.outstandingRequests - b.outstandingRequests);
  return first && action === 'load_balance' ? { instanceId: first.id } : undefined;
}

const denied = (message: string) => ({ allowed: false, reason: message.slice(0, 1000) });

/** «All is well», in the words of each hook that may say so. */
const allowed: Readonly<Partial<Record<HookName, unknown>>> = {
  qualityChecker: { ok: true, findings: [] },
  healthChecker: { healthy: true },
};

/** «Leave everything as it is», in the words of each hook and action that may say so. */
const held: Readonly<Record<string, unknown>> = {
  'autoscaler.evaluate': { hold: true },
  'stabilityChecker.block': { actions: [] },
  'stabilityChecker.cluster': { stable: true, cordon: [] },
  'failurePolicy.handle': { actions: [] },
  'blockEvent.event': { handled: false },
};

type Answer = (hook: HookName, action: string, input: unknown, message: string) => unknown;

const answers: Readonly<Record<OnError, Answer>> = {
  'fail-with-reason': () => undefined,
  'least-queued': (_, action, input) => leastQueued(input as LoadBalance, action),
  deny: (_hook, _action, _input, message) => denied(message),
  allow: (hook) => allowed[hook],
  hold: (hook, action) => held[`${hook}.${action}`],
};

/** @returns the answer that the hook's `onError` gives in place of a policy that failed; nothing where the caller must fail */
export const fallbackAnswer: Answer = (hook, action, input, message) =>
  answers[hooks[hook].onError](hook, action, input, message);
