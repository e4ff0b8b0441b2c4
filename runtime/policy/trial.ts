import { AiosError, type ErrorCode, PolicyError } from '../../sdk/errors.ts';
import type { HookName, PolicyState } from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import type { PolicySpec } from '../../sdk/spec/policy.ts';
import { askPolicy } from './ask-policy.ts';
import { type CatalogEntry, uploadedEntry } from './catalog.ts';
import { assertConfigured } from './configure.ts';
import { createRunners } from './execution/index.ts';
import { deepFreeze } from './freeze.ts';

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

const tenant = 'default';

async function runOne(policy: CatalogEntry, request: TrialRequest): Promise<TrialAnswer> {
  const { action, nowMs = 0, seed = 1, state = {} } = request;
  const hook = policy.hook as HookName;
  const input = deepFreeze(structuredClone(request.input));
  const startedMs = performance.now();
  try {
    const configuration = assertConfigured(policy, request.reference, undefined);
    const given = { tenant, hook, action, input, ...configuration, state, nowMs, seed };
    const answer = await askPolicy(policy, given);
    return { ...answer, durationMs: performance.now() - startedMs };
  } catch (fault) {
    const { code, message, details } = AiosError.from(fault);
    const logs = (details.logs as readonly string[] | undefined) ?? [];
    return { state, logs, error: { code, message }, durationMs: performance.now() - startedMs };
  }
}

/** @param source - the bundle's text */
export function createTrial(spec: PolicySpec, source: string): Trial {
  const runners = createRunners({
    loadArtifact: async () => source,
    call: () => Promise.reject(new PolicyError('UNSUPPORTED', 'a policy with code is no graph.')),
  });
  const policy = uploadedEntry(tenant, spec, runners);
  return { run: (request) => runOne(policy, request), close: () => runners.close() };
}
