import { z } from 'zod';
import { type Problem, SpecError, shorten } from './errors.ts';
import { substituteFor } from './hooks/optional.ts';
import type {
  CoreAction,
  HookAction,
  HookAnswer,
  HookInput,
  HookName,
  OptionalAction,
  PolicyState,
} from './hooks.ts';
import { hooks } from './hooks.ts';
import { formatVersionedName, type PolicyUri, parseVersionedName } from './ids.ts';
import { nearest } from './nearest.ts';
import type { Json } from './packet.ts';

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

/** Of a policy that takes none. */
type NoValues = z.ZodObject<Record<never, never>>;

type AnyAnswer<H extends HookName> = { [A in CoreAction<H>]: HookAnswer<H, A> }[CoreAction<H>];

/** One action's function, whatever the hook. */
type Answerer = (input: never, context: PolicyContext<never, never>) => unknown;

/** What a policy returns may be read-only, arrays inside included. */
type ReadonlyDeep<T> = T extends object ? { readonly [K in keyof T]: ReadonlyDeep<T[K]> } : T;

export interface PolicyDefinition<
  H extends HookName = HookName,
  Name extends string = string,
  P extends z.ZodType = NoValues,
  S extends z.ZodType = NoValues,
> {
  readonly hook: H;
  readonly name: Name;
  readonly version: string;
  /** @default 'stable' */
  readonly releaseTag?: string;
  /** One sentence: when to choose it. */
  readonly description: string;
  /**
   * Schema of what the policy decides by; every field needs a default or must be given at the use site.
   * @default z.object({})
   */
  readonly parameters?: P;
  /** Schema of how it runs. @default z.object({}) */
  readonly settings?: S;
  /**
   * Decides. Must be pure: time, randomness and state come from `context`. Synchronous, and ended past the hook's limit.
   */
  readonly evaluate: (
    input: HookInput<H>,
    context: PolicyContext<z.output<P>, z.output<S>>,
  ) => AnyAnswer<H>;
  /** Answers to actions of the hook that most policies leave to the platform, such as `scale` or `estimate`. */
  readonly actions?: {
    readonly [A in OptionalAction<H>]?: (
      input: HookInput<H, A>,
      context: PolicyContext<z.output<P>, z.output<S>>,
    ) => HookAnswer<H, A>;
  };
  /**
   * Of hook `function`: schemas of what it takes and gives, checked at every call.
   * @default any JSON
   */
  readonly input?: z.ZodType;
  readonly output?: z.ZodType;
  /**
   * How it runs once published: in a sandbox with a state for each use site, in a fresh one for each call, or as one
   * deployed function with one state for all who call it. A document may say otherwise.
   * @default 'local'
   */
  readonly execution?: 'local' | 'job' | 'function';
  /** A command from `aios policy manage`: reads or changes `context.state`. @returns what the caller is shown */
  readonly management?: (
    action: string,
    data: Json,
    context: PolicyContext<z.output<P>, z.output<S>>,
  ) => Json;
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
  readonly input?: z.ZodType;
  readonly output?: z.ZodType;
  readonly execution?: 'local' | 'job' | 'function';
  /** Text of the author's functions: what tells one build of a built-in policy from another. */
  readonly code: () => string;
  // Method syntax, so that a policy of one hook is assignable where any policy is expected.
  /** Answers every action of the hook. */
  evaluate(
    input: HookInput<H, HookAction<H>>,
    context: PolicyContext<unknown, unknown>,
  ): AnyAnswer<H>;
  management?(action: string, data: Json, context: PolicyContext<unknown, unknown>): Json;
}

export type AnyPolicy = { [H in HookName]: Policy<H> }[HookName];

const isSchema = (value: unknown): boolean => value instanceof Object && '_zod' in value;

/** What is not code of ours is no `definePolicy`. */
const executions: readonly string[] = ['local', 'job', 'function'];

/** Whether it can stand in a URI, beside parts that can. */
function isUriPart(key: 'name' | 'version' | 'releaseTag', value: unknown): boolean {
  const sound = { name: 'name', version: '1', releaseTag: 'stable' };
  try {
    parseVersionedName(formatVersionedName({ ...sound, [key]: value }));
    return typeof value === 'string';
  } catch {
    return false;
  }
}

function actionProblems({ hook, actions, management }: Readonly<Record<string, unknown>>) {
  const problems: Problem[] = [];
  if (management !== undefined && typeof management !== 'function') {
    problems.push({ path: '$.management', message: 'must be a function' });
  }
  for (const [name, answer] of Object.entries(actions ?? {})) {
    const path = `$.actions.${name}`;
    if (typeof answer !== 'function') problems.push({ path, message: 'must be a function' });
    if (!substituteFor(String(hook), name)) {
      problems.push({ path, message: `is no action that a policy of '${hook}' may add` });
    }
  }
  return problems;
}

/** All that is wrong with what an author wrote. Types say the same, where somebody looks at them. */
function problemsOf(definition: Readonly<Record<string, unknown>>): readonly Problem[] {
  const { hook, description, parameters, settings, evaluate, execution } = definition;
  const problems: Problem[] = [];
  const add = (key: string, message: string, expected: string, close?: string): void => {
    const value = definition[key];
    problems.push({
      ...{ path: `$.${key}`, message, expected },
      ...(value === undefined ? {} : { seen: shorten(value) }),
      ...(close === undefined ? {} : { nearest: close }),
    });
  };
  if (typeof hook !== 'string' || !Object.hasOwn(hooks, hook)) {
    const known = Object.keys(hooks);
    add('hook', 'does not exist', `one of: ${known.join(', ')}`, nearest(String(hook), known));
  }
  for (const key of ['name', 'version', 'releaseTag'] as const) {
    const expected = "letters, digits, '.', '_' and '-'";
    if (!isUriPart(key, definition[key])) add(key, 'makes no URI', expected);
  }
  if (typeof description !== 'string') {
    add('description', 'must be a sentence', 'when to choose the policy');
  }
  for (const [key, schema] of Object.entries({ parameters, settings })) {
    if (!isSchema(schema)) add(key, 'must be a zod schema', 'z.object({ … })');
  }
  for (const key of ['input', 'output'] as const) {
    const schema = definition[key];
    if (schema === undefined) continue;
    if (hook !== 'function') add(key, `is fixed by hook '${hook}'`, "hook: 'function', or none");
    else if (!isSchema(schema)) add(key, 'must be a zod schema', 'z.object({ … })');
  }
  if (execution !== undefined && !executions.includes(String(execution))) {
    const close = nearest(String(execution), executions);
    add('execution', 'is none that code has', `one of: ${executions.join(', ')}`, close);
  }
  if (typeof evaluate !== 'function') {
    add('evaluate', 'must be a function', 'evaluate(input, context) { … }');
  }
  return [...problems, ...actionProblems(definition)];
}

/**
 * Defines a policy: a typed function called at a named hook. The hook fixes input and output; the schemas type
 * `context.parameters` and `context.settings`.
 *
 * @example
 * export default definePolicy({
 *   hook: 'loadBalancer', name: 'first', version: '1.0.0', description: 'Always the first instance.',
 *   evaluate: ({ instances }) => ({ instanceId: instances[0]?.id ?? '' }),
 * });
 * @throws {SpecError} SPEC_INVALID - with every problem: unknown hook, bad name, version or tag, no schema, no function
 */
export function definePolicy<
  const H extends HookName,
  const Name extends string,
  P extends z.ZodType = NoValues,
  S extends z.ZodType = NoValues,
  // Inferred, so that `return { accept: true }` beside another answer keeps its literal.
  const Answer extends ReadonlyDeep<AnyAnswer<H>> = ReadonlyDeep<AnyAnswer<H>>,
>(
  definition: Omit<PolicyDefinition<H, Name, P, S>, 'evaluate'> & {
    readonly evaluate: (
      input: HookInput<H>,
      context: PolicyContext<z.output<P>, z.output<S>>,
    ) => Answer;
  },
): Policy<H, Name> {
  const { releaseTag = 'stable', parameters = z.object({}), settings = z.object({}) } = definition;
  const complete = { ...definition, releaseTag, parameters, settings };
  const problems = problemsOf(complete);
  if (problems.length > 0) {
    const named = problems.map(({ path, message }) => `${path.slice(2)} ${message}`).join('; ');
    throw new SpecError('SPEC_INVALID', `definePolicy (${shorten(definition.name)}): ${named}.`, {
      problems,
    });
  }
  const { name, version, actions = {}, evaluate: own, ...rest } = complete;
  const answers = actions as Readonly<Record<string, Answerer | undefined>>;
  const evaluate = own as unknown as Answerer;

  function answer(input: { readonly action: string }, context: PolicyContext<never, never>) {
    const added = Object.hasOwn(answers, input.action) ? answers[input.action] : undefined;
    if (added) return added(input as never, context);
    const substitute = substituteFor(definition.hook, input.action);
    return substitute
      ? substitute(input as never, (asked) => evaluate(asked as never, context))
      : evaluate(input as never, context);
  }

  return Object.freeze({
    ...rest,
    name,
    version,
    code: () => [own, ...Object.values(actions)].map(String).join('\n'),
    type: 'policy' as const,
    uri: formatVersionedName({ name, version, releaseTag }) as PolicyUri,
    evaluate: answer as unknown as Policy<H, Name>['evaluate'],
  }) as unknown as Policy<H, Name>;
}
