import { AiosError, PolicyError } from '../../sdk/errors.ts';
import type { PolicyState } from '../../sdk/hooks.ts';
import type { AnyPolicy, PolicyContext } from '../../sdk/policy.ts';
import { createRandom } from './random.ts';
import {
  checkedState,
  noManagement,
  type PolicyRunner,
  type RunRequest,
  runLimits,
} from './runner.ts';

/** One evaluate function, whatever the hook: the catalog has matched the hook, the input is the hook's. */
type Evaluate = (input: unknown, context: PolicyContext<unknown, unknown>) => unknown;

/**
 * Runs a trusted policy in this thread. A loop in one cannot be interrupted: an answer past the limit is refused after
 * the fact. Whoever does not trust a policy uploads it, and it runs in the sandbox.
 */
export function createInProcessRunner(policy: AnyPolicy): PolicyRunner {
  const evaluate = policy.evaluate as Evaluate;

  function answer({ command, input }: RunRequest, context: PolicyContext<unknown, unknown>) {
    if (!command) return evaluate.call(policy, input, context);
    if (!policy.management) throw noManagement(policy.uri);
    return policy.management(command.action, command.data, context);
  }

  function run(request: RunRequest) {
    const { parameters, settings, nowMs, timeLimitMs } = request;
    const logs: string[] = [];
    const context: PolicyContext<unknown, unknown> = {
      parameters,
      settings,
      state: request.state,
      now: nowMs,
      random: createRandom(request.seed),
      log: (message) => {
        if (logs.length < runLimits.logLines) {
          logs.push(String(message).slice(0, runLimits.logLineCharacters));
        }
      },
    };
    try {
      const startedMs = performance.now();
      const output = answer(request, context);
      const durationMs = performance.now() - startedMs;
      if (durationMs > timeLimitMs) {
        throw new PolicyError(
          'POLICY_TIMEOUT',
          `policy '${policy.uri}' took ${Math.round(durationMs)} ms; ${request.hook} allows ${timeLimitMs} ms.`,
        );
      }
      if (output instanceof Promise) {
        output.catch(() => undefined);
        throw new PolicyError(
          'POLICY_OUTPUT_INVALID',
          `policy '${policy.uri}' returned a promise; evaluate() must be synchronous.`,
        );
      }
      const state: PolicyState =
        context.state === request.state ? request.state : checkedState(policy.uri, context.state);
      return { output, state, logs };
    } catch (fault) {
      if (fault instanceof PolicyError) {
        throw new PolicyError(fault.code, fault.message, { details: { logs }, cause: fault });
      }
      throw new PolicyError(
        'POLICY_THREW',
        `policy '${policy.uri}' threw: ${AiosError.from(fault).message}`,
        { details: { logs }, cause: fault },
      );
    }
  }

  return { run: async (request) => run(request) };
}
