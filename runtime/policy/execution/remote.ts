import { AiosError, type ErrorCode, PolicyError } from '../../../sdk/errors.ts';
import type { RemoteExecution } from '../../../sdk/spec/execution.ts';
import { linkSignals } from '../../linked-signal.ts';
import { checkedState, type PolicyRunner, type RunRequest, runLimits } from '../runner.ts';
import type { Executor } from './executors.ts';
import { readAnswer } from './remote-answer.ts';

function requestBody(uri: string, execution: RemoteExecution, request: RunRequest) {
  const { command, hook, input, parameters, settings, state, nowMs, seed, timeLimitMs } = request;
  const policy = { policy_rule_uri: execution.policyRuleURI ?? uri, parameters, settings, state };
  const context = { hook, now_ms: nowMs, seed, time_limit_ms: timeLimitMs };
  return JSON.stringify(
    command
      ? { ...policy, context, mgmt_action: command.action, mgmt_data: command.data }
      : { ...policy, context, input_data: input },
  );
}

/** @throws {PolicyError} POLICY_LIMIT_EXCEEDED - what is read is bounded, whatever the executor says of its length */
async function readBounded(response: Response, tooLong: () => PolicyError): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > runLimits.outputCharacters) throw tooLong();
  }
  return text + decoder.decode();
}

/**
 * Asks an executor over HTTP: `POST {url}/execute_policy`, commands to `POST {url}/management`, in AIOS's words. The
 * answer is checked like any other; a redirect is not followed, for nobody but the operator names hosts.
 */
export function createRemoteRunner(
  uri: string,
  execution: RemoteExecution,
  executor: Executor,
): PolicyRunner {
  const wrong = (code: ErrorCode, what: string, cause?: unknown): PolicyError => {
    const message = `policy '${uri}' ${executor.conceal(what)} (executor '${executor.id}').`;
    return new PolicyError(code, message, { cause });
  };

  async function ask(request: RunRequest): Promise<unknown> {
    const { timeLimitMs, signal } = request;
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), timeLimitMs);
    const either = linkSignals(limit.signal, signal);
    try {
      const response = await fetch(
        executor.endpoint(request.command ? 'management' : 'execute_policy'),
        {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...executor.headers },
          body: requestBody(uri, execution, request),
          redirect: 'error',
          signal: either.signal,
        },
      );
      const text = await readBounded(response, () =>
        wrong(
          'POLICY_LIMIT_EXCEEDED',
          `answered more than ${runLimits.outputCharacters} characters`,
        ),
      );
      if (!response.ok) {
        // Before it is cut, lest half a token is left.
        const said = executor.conceal(text).slice(0, 200).trim();
        throw wrong('POLICY_UNREACHABLE', `got HTTP ${response.status}${said && `: ${said}`}`);
      }
      // Also what it answers: an executor that echoes its request would hand the operator's token to whoever asks.
      return JSON.parse(executor.conceal(text));
    } catch (thrown) {
      if (AiosError.isInstance(thrown)) throw thrown;
      if (limit.signal.aborted)
        throw wrong('POLICY_TIMEOUT', `did not answer within ${timeLimitMs} ms`);
      if (signal?.aborted) throw wrong('CANCELLED', 'was cancelled');
      if (thrown instanceof SyntaxError) {
        throw wrong('POLICY_OUTPUT_INVALID', 'answered what is no JSON', thrown);
      }
      const { cause } = thrown as { cause?: unknown };
      const reason = AiosError.from(cause ?? thrown).message;
      throw wrong('POLICY_UNREACHABLE', `could not be asked: ${reason}`, thrown);
    } finally {
      clearTimeout(timer);
      either.release();
    }
  }

  async function answer(request: RunRequest) {
    const { data, state, logs, failed } = readAnswer(await ask(request), wrong);
    const told = logs.map((line) => executor.conceal(line).slice(0, runLimits.logLineCharacters));
    if (failed !== undefined) {
      const said = executor.conceal(failed).slice(0, 1000).replace(/\.$/, '');
      const { code, message } = wrong('POLICY_THREW', `failed: ${said}`);
      throw new PolicyError(code, message, { details: { logs: told } });
    }
    return { output: data, logs: told, state: state ? checkedState(uri, state) : request.state };
  }

  return {
    run: (request) => {
      const { tenant = 'default', timeLimitMs, signal } = request;
      const caller = { policy: JSON.stringify([tenant, uri]), timeLimitMs, signal };
      return executor.inTurn(caller, (leftMs) => answer({ ...request, timeLimitMs: leftMs }));
    },
  };
}
