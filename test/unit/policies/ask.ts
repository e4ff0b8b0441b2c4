import { createRandom } from '../../../runtime/policy/random.ts';
import type { PolicyState } from '../../../sdk/hooks.ts';

/** Keeps a policy's state from question to question. */
export interface Keeper {
  state: PolicyState;
}

interface Asked {
  readonly parameters: { parse(value: unknown): unknown };
  readonly settings: { parse(value: unknown): unknown };
  evaluate(input: never, context: never): unknown;
}

/** Asks a policy as the platform does, without the platform: parameters by their schema, frozen nothing. */
export function ask<Answer>(
  policy: Asked,
  input: unknown,
  options: {
    readonly parameters?: unknown;
    readonly settings?: unknown;
    readonly keeper?: Keeper;
    readonly now?: number;
    readonly seed?: number;
  } = {},
): Answer {
  const { keeper = { state: {} }, now = 0, seed = 1 } = options;
  const context = {
    parameters: policy.parameters.parse(options.parameters ?? {}),
    settings: policy.settings.parse(options.settings ?? {}),
    state: keeper.state,
    now,
    random: createRandom(seed),
    log: () => undefined,
  };
  const answer = policy.evaluate(input as never, context as never);
  // What is kept must be JSON.
  keeper.state = JSON.parse(JSON.stringify(context.state));
  return answer as Answer;
}
