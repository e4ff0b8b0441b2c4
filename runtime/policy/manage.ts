import { PolicyError } from '../../sdk/errors.ts';
import type { Json } from '../../sdk/packet.ts';
import type { PolicyReference } from '../../sdk/spec/common.ts';
import { stateKeyOf } from './call-function.ts';
import type { CatalogEntry } from './catalog.ts';
import { assertConfigured } from './configure.ts';
import { deepFreeze } from './freeze.ts';
import type { ManageRequest, PolicyHost } from './host.ts';
import { foldDefaults } from './levels.ts';
import type { StateKeeper } from './policy-state.ts';
import { runLimits } from './runner.ts';

interface ManageParts {
  readonly resolve: (
    request: ManageRequest,
    defaults: PolicyReference | undefined,
  ) => Promise<CatalogEntry>;
  readonly states: StateKeeper;
  readonly clock: () => number;
  readonly seed: () => number;
}

/** What a person is shown must be JSON, and fit a screen's worth of it. */
function assertShown(uri: string, result: unknown): Json {
  let text: string | undefined;
  try {
    text = JSON.stringify(result ?? null);
  } catch {
    // Cycles and big integers are no JSON.
  }
  if (text === undefined) {
    throw new PolicyError(
      'POLICY_OUTPUT_INVALID',
      `policy '${uri}' answered a command with what is no JSON.`,
    );
  }
  if (text.length > runLimits.outputCharacters) {
    throw new PolicyError(
      'POLICY_LIMIT_EXCEEDED',
      `policy '${uri}' answered ${text.length} characters; at most ${runLimits.outputCharacters} are read.`,
    );
  }
  return JSON.parse(text) as Json;
}

export function createManage({ resolve, states, clock, seed }: ManageParts): PolicyHost['manage'] {
  return async (request) => {
    const { tenant, hook, reference, useSite, command } = request;
    const defaults = foldDefaults(reference, request.defaults);
    const policy = await resolve(request, defaults);
    const configuration = assertConfigured(policy, reference, defaults);
    const runner = await policy.runner();
    return states.use(stateKeyOf(tenant, policy, useSite), async (state) => {
      const given = deepFreeze(state);
      const answer = await runner.run({
        ...{ tenant, hook, command, input: undefined, state: given, ...configuration },
        ...{ nowMs: clock(), seed: seed(), timeLimitMs: policy.timeLimitMs },
      });
      const result = {
        ...{ policyUri: policy.uri, policyHash: policy.hash, logs: answer.logs },
        result: assertShown(policy.uri, answer.output),
        stateChanged:
          answer.state !== given && JSON.stringify(answer.state) !== JSON.stringify(given),
      };
      return { state: result.stateChanged ? answer.state : state, result };
    });
  };
}
