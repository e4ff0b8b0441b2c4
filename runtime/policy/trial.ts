import { AiosError, type ErrorCode } from '../../sdk/errors.ts';
import { type HookName, hooks, type PolicyState } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { PolicySpec } from '../../sdk/spec/policy.ts';
import { type CatalogEntry, uploadedEntry } from './catalog.ts';
import { assertConfigured } from './configure.ts';
import { deepFreeze } from './freeze.ts';
import { checkOutput } from './output.ts';
import { createSandboxPool } from './sandbox-pool.ts';

/** One question to a policy that nobody uploaded yet. */
export interface TrialRequest {
  readonly action: string;
  readonly input: unknown;
  readonly reference?: PolicyReference;
  readonly state?: PolicyState;
  /** Unix milliseconds. @default 0 */
  readonly nowMs?: number;
  /** @default 1 */
  readonly seed?: number;
}

export interface TrialAnswer {
  /** Checked as the platform would check it; absent when it failed. */
  readonly output?: unknown;
  readonly state: PolicyState;
  readonly logs: readonly string[];
  readonly error?: { readonly code: ErrorCode; readonly message: string };
  readonly durationMs: number;
}

/** A policy in the sandbox it would run in, without a control plane: for its author's tests and measurements. */
export interface Trial {
  run(request: TrialRequest): Promise<TrialAnswer>;
  close(): Promise<void>;
}

async function runOne(policy: CatalogEntry, request: TrialRequest): Promise<TrialAnswer> {
  const { action, nowMs = 0, seed = 1, state = {} } = request;
  const hook = policy.hook as HookName;
  const input = deepFreeze(structuredClone(request.input));
  const startedMs = performance.now();
  try {
    const configuration = assertConfigured(policy, request.reference, undefined);
    const runner = await policy.runner();
    const { timeLimitMs } = hooks[hook];
    const answer = await runner.run({
      ...{ hook, input, ...configuration, state, nowMs, seed, timeLimitMs },
    });
    const output = checkOutput(policy.uri, hook, action, input, answer.output);
    return { ...answer, output, durationMs: performance.now() - startedMs };
  } catch (fault) {
    const { code, message, details } = AiosError.from(fault);
    const logs = (details.logs as readonly string[] | undefined) ?? [];
    return { state, logs, error: { code, message }, durationMs: performance.now() - startedMs };
  }
}

/** @param source - the bundle's text */
export function createTrial(spec: PolicySpec, source: string): Trial {
  const pool = createSandboxPool(async () => source);
  const policy = uploadedEntry('default', spec, pool);
  return { run: (request) => runOne(policy, request), close: () => pool.close() };
}
