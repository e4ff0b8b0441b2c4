import { AiosError, type ErrorCode, PolicyError, type Problem } from '../../sdk/errors.ts';
import type { HookName } from '../../sdk/hooks.ts';
import type { ProtocolCheck } from '../../sdk/protocol.ts';
import type { CatalogEntry } from './catalog.ts';
import { checkOutput } from './output.ts';
import type { RunAnswer, RunRequest } from './runner.ts';

/** What a function takes or gives, against the schema of its document. */
function assertSchema(
  check: ProtocolCheck | undefined,
  value: unknown,
  code: ErrorCode,
  what: string,
): void {
  const problems: readonly Problem[] = check?.(value) ?? [];
  const [first] = problems;
  if (!first) return;
  const message = `${what}: ${first.path} ${first.message}${first.expected === undefined ? '' : `; expected ${first.expected}`}.`;
  throw new PolicyError(code, message, { problems: problems.slice(0, 20) });
}

export interface Question extends Omit<RunRequest, 'timeLimitMs' | 'command'> {
  readonly action: string;
  /** Where less is left than the policy may take; of a job, what it may take. */
  readonly timeLimitMs?: number | undefined;
  /** @default false */
  readonly asJob?: boolean | undefined;
}

/**
 * Asks a policy, wherever it runs, and checks its answer as the hook and the policy's own document want it.
 *
 * @throws {PolicyError} as `PolicyRunner.run`; REQUEST_INVALID - the input of a function is not what it takes;
 * details.logs
 */
export async function askPolicy(
  policy: CatalogEntry,
  { action, asJob, ...question }: Question,
): Promise<RunAnswer> {
  const hook: HookName = question.hook;
  const { input } = question;
  const isCall = hook === 'function';
  if (isCall) {
    const given = (input as { readonly input: unknown }).input;
    const what = `the input of function '${policy.uri}' is not what it takes`;
    assertSchema(policy.checkInput, given, 'REQUEST_INVALID', what);
  }
  const runner = await policy.runner(asJob);
  const { timeLimitMs: givenMs = policy.timeLimitMs } = question;
  const timeLimitMs = asJob ? givenMs : Math.min(givenMs, policy.timeLimitMs);
  const answer = await runner.run({ ...question, timeLimitMs });
  try {
    const output = checkOutput(policy.uri, hook, action, input, answer.output);
    if (isCall) {
      const given = (output as { readonly output: unknown }).output;
      const what = `function '${policy.uri}' answered what its document does not allow`;
      assertSchema(policy.checkOutput, given, 'POLICY_OUTPUT_INVALID', what);
    }
    return { ...answer, output };
  } catch (thrown) {
    // The checks recurse; what they cannot follow is the policy's fault, and its hook's `onError` answers it.
    const isTooDeep = thrown instanceof RangeError;
    const tooDeep = `policy '${policy.uri}' answered what is nested too deeply to be checked.`;
    const fault = isTooDeep ? new PolicyError('POLICY_LIMIT_EXCEEDED', tooDeep) : thrown;
    const { code, message, problems } = AiosError.from(fault);
    throw new PolicyError(code, message, {
      problems,
      details: { logs: answer.logs },
      cause: fault,
    });
  }
}
