import { randomInt } from 'node:crypto';
import type { PolicyEvaluation } from '../../sdk/client/api.ts';
import { AiosError, type ErrorCode, PolicyError, type Problem } from '../../sdk/errors.ts';
import { type HookAction, type HookName, type HookOutput, hooks } from '../../sdk/hooks.ts';
import { type CatalogEntry, createCatalog } from './catalog.ts';
import { assertConfigured, chosenUri, configure } from './configure.ts';
import { digestOf } from './digest.ts';
import { fallbackAnswer } from './fallback.ts';
import { deepFreeze } from './freeze.ts';
import type { EvaluateRequest, PolicyHost, PolicyHostOptions } from './host.ts';
import { checkOutput } from './output.ts';
import { createStateKeeper } from './policy-state.ts';
import { createSandboxPool } from './sandbox-pool.ts';

/** Faults of the policy itself, which the hook's `onError` answers. */
const evaluationFaults: ReadonlySet<ErrorCode> = new Set([
  'POLICY_THREW',
  'POLICY_TIMEOUT',
  'POLICY_OUTPUT_INVALID',
  'POLICY_LIMIT_EXCEEDED',
  'BUSY',
]);

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
  const pool = createSandboxPool(options.loadArtifact);
  const catalog = createCatalog(options.builtins, options.store, pool);
  const states = createStateKeeper(options.store);

  async function resolve<H extends HookName, A extends HookAction<H>>(
    request: EvaluateRequest<H, A>,
  ): Promise<CatalogEntry> {
    const { tenant, hook, reference, defaults } = request;
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
      const policy = await resolve(request);
      const configuration = assertConfigured(policy, request.reference, request.defaults);
      const input = deepFreeze(request.input);
      const runner = await policy.runner();

      return states.use({ tenant, id: `${policy.uri}@${useSite}` }, async (state, version) => {
        const startedMs = performance.now();
        const nowMs = clock();
        const record = {
          hook,
          action,
          policyUri: policy.uri,
          policyHash: policy.hash,
          ...configuration,
          seed: seed(),
          nowMs,
          stateRevision: version,
          inventoryRevision: request.inventoryRevision,
          inputDigest: digestOf(input),
        };
        const finish = (rest: Pick<PolicyEvaluation, 'output' | 'error' | 'logs'>) => ({
          ...record,
          ...rest,
          durationMs: performance.now() - startedMs,
        });
        let logs: readonly string[] = [];
        try {
          const answer = await runner.run({
            hook,
            input,
            ...configuration,
            state: deepFreeze(state),
            nowMs,
            seed: record.seed,
            timeLimitMs: hooks[hook].timeLimitMs,
          });
          logs = answer.logs;
          const output = checkOutput(policy.uri, hook, action, input, answer.output);
          const evaluation: PolicyEvaluation = finish({ output, logs });
          return {
            state: answer.state,
            result: { output: output as HookOutput<H, A>, evaluation },
          };
        } catch (fault) {
          const error = AiosError.from(fault);
          logs = (error.details.logs as readonly string[] | undefined) ?? logs;
          const output = evaluationFaults.has(error.code) ? fallbackAnswer(hook, input) : undefined;
          const evaluation: PolicyEvaluation = finish({
            ...(output === undefined ? {} : { output }),
            error: { code: error.code, message: error.message },
            logs,
          });
          if (output !== undefined) {
            return { state, result: { output: output as HookOutput<H, A>, evaluation } };
          }
          throw new PolicyError(error.code, error.message, {
            problems: error.problems,
            details: { evaluation, useSite },
            cause: error,
          });
        }
      });
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

    async close() {
      await states.close();
      await pool.close();
    },
  };
}
