import { z } from 'zod';
import { type Problem, SpecError, shorten } from '../../sdk/errors.ts';
import { exampleInputs } from '../../sdk/hooks/examples.ts';
import { type HookName, hooks } from '../../sdk/hooks.ts';
import { nearest } from '../../sdk/nearest.ts';
import type { Json } from '../../sdk/packet.ts';
import { jsonObject } from '../../sdk/spec/common.ts';

const policyCase = z.strictObject({
  name: z.string().min(1),
  /** Of the hook; may be left out where the hook has one. */
  action: z.string().optional(),
  /** Left out: the hook's example (`aios policy new` prints it), changed by `change`. */
  input: z.unknown().optional(),
  /** Path in the input, such as `nodes[0].free.memoryBytes`, to a new value. */
  change: z.record(z.string(), z.unknown()).default({}),
  parameters: jsonObject.default({}),
  settings: jsonObject.default({}),
  state: jsonObject.default({}),
  /** Unix milliseconds. */
  now: z.number().default(0),
  seed: z.number().int().nonnegative().default(1),
  /** What the decision must hold: objects the keys that are named, lists every element. */
  expect: z.unknown().optional(),
  /** The error's code, where the policy must fail. */
  expectError: z.string().optional(),
  /** What must be kept in `state` afterwards, compared like `expect`. */
  expectState: jsonObject.optional(),
});

/** One question and the decision that its author expects. */
export interface PolicyCase extends Omit<z.output<typeof policyCase>, 'action' | 'input'> {
  readonly action: string;
  readonly input: unknown;
}

const maxCases = 10_000;

/**
 * Sets one path of a plain value. A last key that is not there may be one that the example leaves out; one that looks like
 * another that is there is a slip.
 *
 * @returns nothing when it is done, else the nearest key or ''
 */
function change(root: unknown, path: string, value: unknown): string | undefined {
  const keys = path.split(/[.[\]]+/).filter((key) => key !== '');
  const last = keys.pop();
  let at: unknown = root;
  for (const key of keys) {
    if (typeof at !== 'object' || at === null) return '';
    if (!Object.hasOwn(at, key)) return nearest(key, Object.keys(at)) ?? '';
    at = (at as Record<string, unknown>)[key];
  }
  if (typeof at !== 'object' || at === null || last === undefined) return '';
  if (Array.isArray(at) && !/^\d+$/.test(last)) return '';
  const close = Object.hasOwn(at, last) ? undefined : nearest(last, Object.keys(at));
  if (close !== undefined) return close;
  Object.defineProperty(at, last, { value, writable: true, enumerable: true, configurable: true });
  return undefined;
}

function readCase(
  hook: HookName,
  written: z.output<typeof policyCase>,
  path: string,
  problems: Problem[],
): PolicyCase | undefined {
  const actions = Object.keys(hooks[hook].outputs);
  const action = written.action ?? (actions.length === 1 ? actions[0] : undefined);
  if (action === undefined || !actions.includes(action)) {
    problems.push({
      path: `${path}.action`,
      message: action === undefined ? 'is missing' : `is no action of '${hook}'`,
      expected: `one of: ${actions.join(', ')}`,
      ...(action === undefined ? {} : { seen: shorten(action) }),
    });
    return undefined;
  }
  const examples: Readonly<Record<string, unknown>> = exampleInputs[hook];
  const input: unknown = structuredClone(written.input ?? examples[action]);
  if (typeof input === 'object' && input !== null && !('action' in input)) {
    Object.assign(input, { action });
  }
  for (const [place, value] of Object.entries(written.change)) {
    const close = change(input, place, value);
    if (close === undefined) continue;
    problems.push({
      path: `${path}.change`,
      message: `'${place}' leads nowhere in the input`,
      expected: 'a path such as nodes[0].free.memoryBytes',
      ...(close === '' ? {} : { nearest: close }),
    });
  }
  return { ...written, action, input };
}

/** @throws {SpecError} SPEC_INVALID with every problem */
export function readCases(hook: HookName, document: unknown, file: string): readonly PolicyCase[] {
  const parsed = z.array(policyCase).min(1).max(maxCases).safeParse(document);
  const problems: Problem[] = [];
  if (!parsed.success) {
    for (const { path, message } of parsed.error.issues) {
      const at = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`));
      problems.push({ path: `$${at.join('')}`, message });
    }
  }
  const cases = (parsed.data ?? []).flatMap(
    (written, at) => readCase(hook, written, `$[${at}]`, problems) ?? [],
  );
  const [first] = problems;
  if (!first) return cases;
  throw new SpecError('SPEC_INVALID', `'${file}': ${first.path} ${first.message}.`, { problems });
}

/** Where `seen` is not what was expected; nothing when it is. */
export function difference(expected: unknown, seen: unknown, path = '$'): string | undefined {
  if (typeof expected !== 'object' || expected === null) {
    return Object.is(expected, seen)
      ? undefined
      : `${path}: expected ${shorten(expected)}, got ${shorten(seen ?? null)}`;
  }
  if (
    typeof seen !== 'object' ||
    seen === null ||
    Array.isArray(seen) !== Array.isArray(expected)
  ) {
    return `${path}: expected ${shorten(expected)}, got ${shorten(seen ?? null)}`;
  }
  if (Array.isArray(expected) && Array.isArray(seen) && expected.length !== seen.length) {
    return `${path}: expected ${expected.length} elements, got ${seen.length}`;
  }
  const found = seen as Readonly<Record<string, Json>>;
  for (const [key, value] of Object.entries(expected)) {
    const inner = Array.isArray(expected) ? `${path}[${key}]` : `${path}.${key}`;
    const wrong = difference(value, Object.hasOwn(found, key) ? found[key] : undefined, inner);
    if (wrong) return wrong;
  }
  return undefined;
}
