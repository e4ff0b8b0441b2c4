import { randomInt } from 'node:crypto';
import type { PolicyEvaluation } from '../../sdk/client/api.ts';
import { AiosError, PolicyError, type Problem } from '../../sdk/errors.ts';
import {
  type HookAction,
  type HookName,
  type HookOutput,
  hooks,
  type PolicyState,
} from '../../sdk/hooks.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import { askPolicy } from './ask-policy.ts';
import { createCallFunction, stateKeyOf } from './call-function.ts';
import { type CatalogEntry, createCatalog } from './catalog.ts';
import { assertConfigured, chosenUri, configure } from './configure.ts';
import { digestOf } from './digest.ts';
import { createRunners } from './execution/index.ts';
import { evaluationFaults, fallbackAnswer } from './fallback.ts';
import { deepFreeze } from './freeze.ts';
import type {
  Evaluated,
  EvaluateRequest,
  Observed,
  PolicyHost,
  PolicyHostOptions,
} from './host.ts';
import { foldDefaults } from './levels.ts';
import { createManage } from './manage.ts';
import { createStateKeeper } from './policy-state.ts';
import { recordedOutput } from './recorded-output.ts';
import { attachRecording } from './recording.ts';
import { createReplays, type Replays } from './replay.ts';

const isHookName = (hook: string): hook is HookName => Object.hasOwn(hooks, hook);

function wrongHook(policy: CatalogEntry, hook: string): Problem {
  return {
    path: `$.policies.${hook}.policyRuleURI`,
    message: `policy '${policy.uri}' is for another hook`,
    expected: `a policy of hook '${hook}'`,
    seen: `hook '${policy.hook}'`,
  };
}

/**
 * Creates the policy host. Inputs are frozen in place, deeply: hand over data that nobody changes afterwards.
 *
 * @throws {PolicyError} POLICY_DEFAULT_MISSING - names every default policy that was not passed in
 */
export function createPolicyHost(options: PolicyHostOptions): PolicyHost {
  const { clock = Date.now, seed = () => randomInt(2 ** 32) } = options;
  const states = createStateKeeper(options.store, options.stateWriteDelayMs);
  const call = createCallFunction({ catalog: () => catalog, states });
  const runners = createRunners({ ...options, call });
  const catalog = createCatalog(options.builtins, options.store, runners);
  const listeners = new Set<(observed: Observed) => void>();
  let replays: Replays | undefined;

  async function resolve(
    request: Pick<EvaluateRequest<HookName, never>, 'tenant' | 'hook' | 'reference'>,
    defaults: PolicyReference | undefined,
  ): Promise<CatalogEntry> {
    const { tenant, hook, reference } = request;
    const policy = await catalog.resolve(tenant, chosenUri(hook, reference, defaults));
    if (policy.hook === hook) return policy;
    const problem = wrongHook(policy, hook);
    throw new PolicyError('SPEC_INVALID', `${problem.message}: ${problem.seen}, not '${hook}'.`, {
      problems: [problem],
    });
  }

  return {
    async evaluate<H extends HookName, A extends HookAction<H>>(request: EvaluateRequest<H, A>) {
      const { tenant, hook, action, useSite } = request;
      const defaults = foldDefaults(request.reference, request.defaults);
      const policy = await resolve(request, defaults);
      const configuration = assertConfigured(policy, request.reference, defaults);
      const input = deepFreeze(request.input);
      const { asJob = false, timeLimitMs, signal } = request;
      const startedMs = performance.now();
      const record = {
        hook,
        action,
        policyUri: policy.uri,
        policyHash: policy.hash,
        ...configuration,
        seed: seed(),
        nowMs: clock(),
        inventoryRevision: request.inventoryRevision,
        inputDigest: digestOf(input),
      };

      let recordedState: PolicyState = {};

      function evaluationOf(
        rest: Pick<PolicyEvaluation, 'error' | 'logs' | 'stateRevision' | 'output'>,
      ): PolicyEvaluation {
        const durationMs = performance.now() - startedMs;
        const evaluation = { ...record, ...rest, durationMs };
        attachRecording(evaluation, { input, state: recordedState, decision: {} });
        for (const listener of listeners) listener({ tenant, hook, action, useSite, evaluation });
        return evaluation;
      }

      function evaluated(
        output: HookOutput<H, A>,
        rest: Pick<PolicyEvaluation, 'error' | 'logs' | 'stateRevision'>,
      ): Evaluated<H, A> {
        return { output, evaluation: evaluationOf({ ...rest, output: recordedOutput(output) }) };
      }

      /** What the hook's `onError` answers in the policy's place; throws where it says that the caller must fail. */
      function failed(fault: unknown, stateRevision: number): Evaluated<H, A> {
        const error = AiosError.from(fault);
        const logs = (error.details.logs as readonly string[] | undefined) ?? [];
        const { code, message } = error;
        const rest = { error: { code, message }, logs, stateRevision };
        const output = evaluationFaults.has(code)
          ? fallbackAnswer(hook, action, input, message)
          : undefined;
        if (output !== undefined) return evaluated(output as HookOutput<H, A>, rest);
        throw new PolicyError(code, message, {
          problems: error.problems,
          details: { evaluation: evaluationOf(rest), useSite },
          cause: error,
        });
      }

      let inLineSinceMs = 0;

      async function run(state: PolicyState, stateRevision: number) {
        const frozen = deepFreeze(state);
        recordedState = frozen;
        try {
          // Whoever stood in line for longer than a decision may take is answered as the hook says, and asks nobody.
          const waitedMs = performance.now() - inLineSinceMs;
          if (!asJob && waitedMs > policy.timeLimitMs) {
            throw new PolicyError(
              'POLICY_TIMEOUT',
              `policy '${policy.uri}' was not asked: ${Math.round(waitedMs)} ms went by in line at ${useSite}; ${hook} allows ${policy.timeLimitMs} ms.`,
            );
          }
          const { nowMs, seed } = record;
          const given = { hook, action, input, tenant, nowMs, seed, asJob, timeLimitMs, signal };
          const answer = await askPolicy(policy, { ...given, ...configuration, state: frozen });
          const { output, logs } = answer;
          const result = evaluated(output as HookOutput<H, A>, { logs, stateRevision });
          return { state: answer.state, result };
        } catch (fault) {
          return { state, result: failed(fault, stateRevision) };
        }
      }

      inLineSinceMs = performance.now();
      if (asJob || policy.execution === 'job') return (await run({}, 0)).result;
      return states.use(stateKeyOf(tenant, policy, useSite), run).catch((fault: unknown) => {
        const error = AiosError.from(fault);
        // Too many wait for this state: the policy was not asked.
        if (error.code === 'BUSY' && !error.details.evaluation) return failed(error, 0);
        throw error;
      });
    },

    async replay(request) {
      replays ??= createReplays(options);
      return replays.run(request);
    },

    manage: createManage({ resolve, states, clock, seed }),

    checkExecutor: runners.check,

    hookOf: async (tenant, uri) => (await catalog.resolve(tenant, uri)).hook,

    observe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    async check(tenant, hook, reference) {
      // Documents name hooks of AIOS that nothing here calls; they are kept, and cost nothing.
      if (!isHookName(hook)) return [];
      const path = `$.policies.${hook}`;
      try {
        const uri = chosenUri(hook, reference, undefined);
        const policy = await catalog.resolve(tenant, uri);
        if (policy.hook !== hook) return [wrongHook(policy, hook)];
        return configure(policy, reference, undefined).problems;
      } catch (fault) {
        const error = AiosError.from(fault);
        if (error.code !== 'POLICY_NOT_FOUND' && error.code !== 'URI_AMBIGUOUS') throw error;
        const close = error.details.nearest;
        return [
          {
            path: `${path}.policyRuleURI`,
            message: error.message,
            seen: JSON.stringify(reference.policyRuleURI),
            ...(typeof close === 'string' ? { nearest: close } : {}),
          },
        ];
      }
    },

    async list(tenant) {
      const entries = await catalog.list(tenant);
      return entries.map(({ uri, hook, description, origin }) => ({
        uri,
        hook,
        description,
        origin,
      }));
    },

    async describe(tenant, uri) {
      const policy = await catalog.resolve(tenant, uri);
      const { hook, description, origin, hash, execution, timeLimitMs } = policy;
      const about = { uri: policy.uri, hook, description, origin, hash, execution, timeLimitMs };
      return { ...about, ...policy.schemas() };
    },

    forget: (tenant, useSite) => states.forget(tenant, useSite),

    async close() {
      // First what runs: who waits for its state then has an answer, and what was kept is written.
      await Promise.all([runners.close(), replays?.close()]);
      await states.close();
    },
  };
}
