import { PolicyError } from '../../sdk/errors.ts';
import type { PolicyState } from '../../sdk/hooks.ts';
import type { Json } from '../../sdk/packet.ts';
import { askPolicy } from './ask-policy.ts';
import type { Catalog, CatalogEntry } from './catalog.ts';
import { assertConfigured } from './configure.ts';
import type { CallFunction } from './execution/index.ts';
import { deepFreeze } from './freeze.ts';
import type { StateKeeper, StateKey } from './policy-state.ts';
import type { RunAnswer } from './runner.ts';

/** Whose state an evaluation reads: a deployed function has one for all who call it, a job has none. */
export const stateKeyOf = (tenant: string, policy: CatalogEntry, useSite: string): StateKey => ({
  tenant,
  policyUri: policy.uri,
  useSite: policy.execution === 'function' ? 'function' : useSite,
});

export interface Calling {
  readonly catalog: () => Catalog;
  /** Absent: nothing is kept, as in a replay. */
  readonly states?: StateKeeper;
}

/**
 * One call of a deployed function, in turn with all who call it. Who calls it may have waited for longer than it may by
 * then, and is not kept waiting: the call is not made any more.
 */
function inTurn(
  states: StateKeeper,
  key: StateKey,
  { timeLimitMs, signal }: Pick<Parameters<CallFunction>[0], 'timeLimitMs' | 'signal'>,
  ask: (state: PolicyState, leftMs: number) => Promise<RunAnswer>,
): Promise<RunAnswer> {
  const endMs = performance.now() + timeLimitMs;
  return new Promise((resolve, reject) => {
    const late = (): void =>
      reject(
        new PolicyError(
          'POLICY_TIMEOUT',
          `function '${key.policyUri}' did not come to it within ${timeLimitMs} ms: calls follow one another.`,
        ),
      );
    const timer = setTimeout(late, timeLimitMs);
    const turn = states.use(key, async (state) => {
      clearTimeout(timer);
      const leftMs = Math.ceil(endMs - performance.now());
      if (leftMs <= 0) late();
      if (leftMs <= 0 || signal?.aborted) return { state, result: undefined };
      const result = await ask(state, leftMs);
      return { state: result.state, result };
    });
    turn
      .then((answer) =>
        answer ? resolve(answer) : reject(new PolicyError('CANCELLED', 'was cancelled.')),
      )
      .catch(reject)
      .finally(() => clearTimeout(timer));
  });
}

/** How the nodes of a graph are called. */
export function createCallFunction({ catalog, states }: Calling): CallFunction {
  return async (call) => {
    const { tenant, reference, timeLimitMs, input, ...rest } = call;
    const policy = await catalog().resolve(tenant, reference.policyRuleURI ?? '');
    if (policy.hook !== 'function') {
      throw new PolicyError(
        'SPEC_INVALID',
        `policy '${policy.uri}' is for hook '${policy.hook}'; a graph joins policies of hook 'function'.`,
      );
    }
    const configuration = assertConfigured(policy, reference, undefined);
    const ask = (state: PolicyState, leftMs: number): Promise<RunAnswer> =>
      askPolicy(policy, {
        ...{
          hook: 'function',
          action: 'call',
          tenant,
          ...configuration,
          ...rest,
          state: deepFreeze(state),
          timeLimitMs: leftMs,
        },
        // What one function answered must not change under it while another reads it.
        input: deepFreeze({ action: 'call', input: structuredClone(input) }),
      });
    const unwrapped = (answer: RunAnswer) => ({
      ...answer,
      output: (answer.output as { readonly output: Json }).output,
    });
    if (policy.execution !== 'function' || !states) {
      return unwrapped(await ask(call.state, timeLimitMs));
    }
    const key = stateKeyOf(tenant, policy, '');
    const answer = await inTurn(states, key, call, ask);
    // The graph keeps nothing for it.
    return unwrapped({ ...answer, state: call.state });
  };
}
