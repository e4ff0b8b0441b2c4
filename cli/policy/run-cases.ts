import type { Trial, TrialAnswer } from '../../runtime/policy/index.ts';
import { policyReference } from '../../sdk/spec/common.ts';
import { difference, type PolicyCase } from './cases.ts';

export interface CaseResult {
  readonly name: string;
  readonly action: string;
  readonly passed: boolean;
  /** What is wrong, for people. */
  readonly problem?: string;
  readonly output?: unknown;
  readonly logs: readonly string[];
  readonly durationMs: number;
}

function problemOf(one: PolicyCase, answer: TrialAnswer): string | undefined {
  if (one.expectError !== undefined) {
    if (!answer.error) return `expected the error ${one.expectError}, got an answer`;
    const { code, message } = answer.error;
    return code === one.expectError
      ? undefined
      : `expected ${one.expectError}, got ${code} ${message}`;
  }
  if (answer.error) return `${answer.error.code} ${answer.error.message}`;
  return (
    (one.expect === undefined ? undefined : difference(one.expect, answer.output)) ??
    (one.expectState && difference(one.expectState, answer.state, 'state'))
  );
}

/** @param outside - the same case's answer outside the sandbox: a pure policy gives the same twice */
export async function runCase(
  trial: Trial,
  one: PolicyCase,
  outside: string | undefined,
): Promise<CaseResult> {
  const { parameters, settings } = one;
  const answer = await trial.run({
    action: one.action,
    input: one.input,
    reference: policyReference.parse({ parameters, settings }),
    state: one.state as never,
    nowMs: one.now,
    seed: one.seed,
  });
  const again = outside === undefined ? undefined : JSON.parse(outside);
  const impure =
    again !== undefined && !answer.error && difference(again, answer.output)
      ? 'answered differently when asked twice: take time and randomness from the context'
      : undefined;
  const problem = problemOf(one, answer) ?? impure;
  const { output, logs, durationMs } = answer;
  return {
    ...{ name: one.name, action: one.action, passed: problem === undefined, logs, durationMs },
    ...(problem === undefined ? {} : { problem }),
    ...(output === undefined ? {} : { output }),
  };
}
