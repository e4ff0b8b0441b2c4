/**
 * Runs in a process of its own: evaluates a policy outside the sandbox while V8 counts what runs. The parent ends it, and
 * goes by what the sandbox answered.
 */
import { Session } from 'node:inspector/promises';
import { pathToFileURL } from 'node:url';
import { createInProcessRunner } from '../../runtime/policy/index.ts';
import { AiosError } from '../../sdk/errors.ts';
import type { HookName } from '../../sdk/hooks.ts';
import type { AnyPolicy } from '../../sdk/policy.ts';
import type { PolicyCase } from './cases.ts';
import type { ScriptCoverage } from './coverage.ts';

export interface CoverageRequest {
  readonly file: string;
  readonly cases: readonly PolicyCase[];
}

export interface CoverageReport {
  readonly coverage: ScriptCoverage | undefined;
  /** One a case, as JSON text; `undefined` where it threw. */
  readonly outputs: readonly (string | undefined)[];
}

async function evaluate(policy: AnyPolicy, one: PolicyCase): Promise<string | undefined> {
  const read = (schema: { parse(value: unknown): unknown }, value: unknown) =>
    schema.parse(value) as Readonly<Record<string, unknown>>;
  try {
    const { output } = await createInProcessRunner(policy).run({
      hook: policy.hook as HookName,
      input: one.input,
      parameters: read(policy.parameters, one.parameters),
      settings: read(policy.settings, one.settings),
      state: one.state as never,
      nowMs: one.now,
      seed: one.seed,
      timeLimitMs: Number.POSITIVE_INFINITY,
    });
    return JSON.stringify(output);
  } catch {
    return undefined;
  }
}

async function run({ file, cases }: CoverageRequest): Promise<CoverageReport> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const url = pathToFileURL(file).href;
  const module: { default?: AnyPolicy } = await import(url);
  const outputs: (string | undefined)[] = [];
  for (const one of cases) {
    outputs.push(module.default ? await evaluate(module.default, one) : undefined);
  }
  const { result } = await session.post('Profiler.takePreciseCoverage');
  return { coverage: result.find((script) => script.url === url), outputs };
}

process.once('message', (request: CoverageRequest) => {
  run(request)
    .then(
      (report) => process.send?.(report),
      (fault: unknown) => process.send?.({ fault: AiosError.from(fault).message }),
    )
    .finally(() => process.disconnect());
});
