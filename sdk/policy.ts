import type { z } from 'zod';
import { AiosError } from './errors.ts';
import type { HookAction, HookAnswer, HookInput, HookName, PolicyState } from './hooks.ts';
import { hooks } from './hooks.ts';
import { formatVersionedName, type PolicyUri, parseVersionedName } from './ids.ts';

/** What an evaluation is given beside its input. Nothing here does I/O. */
export interface PolicyContext<Parameters, Settings> {
  readonly parameters: Parameters;
  readonly settings: Settings;
  /** Kept for this policy at this use site, across restarts. Assign a new value to change it. */
  state: PolicyState;
  /** Unix milliseconds, the same for the whole evaluation. */
  readonly now: number;
  /** 0 ≤ x < 1, from a recorded seed: replaying a decision gives the same numbers. */
  readonly random: () => number;
  /** A line of the decision record. */
  readonly log: (message: string) => void;
}

type AnyAnswer<H extends HookName> = { [A in HookAction<H>]: HookAnswer<H, A> }[HookAction<H>];

/** What a policy returns may be read-only, arrays inside included. */
type ReadonlyDeep<T> = T extends object ? { readonly [K in keyof T]: ReadonlyDeep<T[K]> } : T;

export interface PolicyDefinition<
  H extends HookName = HookName,
  Name extends string = string,
  P extends z.ZodType = z.ZodType,
  S extends z.ZodType = z.ZodType,
> {
  readonly hook: H;
  readonly name: Name;
  readonly version: string;
  /** @default 'stable' */
  readonly releaseTag?: string;
  /** One sentence: when to choose it. */
  readonly description: string;
  /** Schema of what the policy decides by; every field needs a default or must be given at the use site. */
  readonly parameters: P;
  /** Schema of how it runs. */
  readonly settings: S;
  /**
   * Decides. Must be pure: time, randomness and state come from `context`. Synchronous, and ended past the hook's limit.
   */
  readonly evaluate: (
    input: HookInput<H>,
    context: PolicyContext<z.output<P>, z.output<S>>,
  ) => AnyAnswer<H>;
}

/** A checked, frozen policy. */
export interface Policy<H extends HookName = HookName, Name extends string = string> {
  readonly type: 'policy';
  readonly hook: H;
  readonly name: Name;
  readonly version: string;
  readonly releaseTag: string;
  readonly uri: PolicyUri;
  readonly description: string;
  readonly parameters: z.ZodType;
  readonly settings: z.ZodType;
  // Method syntax, so that a policy of one hook is assignable where any policy is expected.
  evaluate(input: HookInput<H>, context: PolicyContext<unknown, unknown>): AnyAnswer<H>;
}

export type AnyPolicy = { [H in HookName]: Policy<H> }[HookName];

/**
 * Defines a policy: a typed function called at a named hook. The hook fixes input and output; the schemas type
 * `context.parameters` and `context.settings`.
 *
 * @example
 * export default definePolicy({
 *   hook: 'loadBalancer', name: 'first', version: '1.0.0', description: 'Always the first instance.',
 *   parameters: z.object({}), settings: z.object({}),
 *   evaluate: ({ instances }) => ({ instanceId: instances[0]?.id ?? '' }),
 * });
 * @throws {AiosError} SPEC_INVALID - unknown hook; URI_MALFORMED - bad name, version or tag
 */
export function definePolicy<
  const H extends HookName,
  const Name extends string,
  P extends z.ZodType,
  S extends z.ZodType,
  // Inferred, so that `return { accept: true }` beside another answer keeps its literal.
  const Answer extends ReadonlyDeep<AnyAnswer<H>>,
>(
  definition: Omit<PolicyDefinition<H, Name, P, S>, 'evaluate'> & {
    readonly evaluate: (
      input: HookInput<H>,
      context: PolicyContext<z.output<P>, z.output<S>>,
    ) => Answer;
  },
): Policy<H, Name> {
  const { hook, name, version, releaseTag = 'stable' } = definition;
  if (!Object.hasOwn(hooks, hook)) {
    throw new AiosError(
      'SPEC_INVALID',
      `policy '${name}': hook '${hook}' does not exist. Hooks: ${Object.keys(hooks).join(', ')}.`,
    );
  }
  const uri = formatVersionedName({ name, version, releaseTag });
  parseVersionedName(uri);
  return Object.freeze({
    ...definition,
    type: 'policy' as const,
    releaseTag,
    uri: uri as PolicyUri,
    evaluate: definition.evaluate as unknown as Policy<H, Name>['evaluate'],
  });
}
