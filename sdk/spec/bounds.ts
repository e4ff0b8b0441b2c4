import { type Problem, SpecError, shorten } from '../errors.ts';
import { formatPath, type Segment } from './located.ts';

/** What any document may hold. Checked before anything recursive looks at it. */
export const documentLimits = {
  depth: 64,
  /** Objects, lists and single values together. */
  values: 200_000,
  /** Characters of one text or key. */
  textLength: 2 ** 20,
} as const;

/** Keys that would reach an object's prototype instead of the object. */
const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype']);

interface Step {
  readonly value: unknown;
  readonly depth: number;
  readonly parent?: Step;
  readonly key?: Segment;
}

function pathOf(step: Step): string {
  const segments: Segment[] = [];
  for (let at: Step | undefined = step; at?.key !== undefined; at = at.parent) {
    segments.unshift(at.key);
  }
  return formatPath('$', segments);
}

function plainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function problemOf({ value, depth }: Step): Omit<Problem, 'path'> | undefined {
  if (depth > documentLimits.depth) {
    return { message: 'is nested too deeply', expected: `at most ${documentLimits.depth} levels` };
  }
  switch (typeof value) {
    case 'string':
      return value.length <= documentLimits.textLength
        ? undefined
        : {
            message: 'is too long',
            expected: `at most ${documentLimits.textLength} characters`,
            seen: `${value.length} characters`,
          };
    case 'number':
      return Number.isFinite(value)
        ? undefined
        : { message: 'is no JSON number', expected: 'a finite number', seen: String(value) };
    case 'boolean':
    case 'undefined':
      return undefined;
    case 'object':
      return value === null || Array.isArray(value) || plainObject(value)
        ? undefined
        : {
            message: 'is no JSON value',
            expected: 'a plain object',
            seen: value.constructor?.name,
          };
    default:
      return { message: 'is no JSON value', expected: 'JSON', seen: typeof value };
  }
}

/**
 * Refuses documents that are too large, too deep, not JSON, or that hold keys reaching a prototype. Does not recurse.
 *
 * @throws {SpecError} SPEC_INVALID with one problem
 */
export function assertBounded(kind: string, document: unknown): void {
  const refuse = (step: Step, problem: Omit<Problem, 'path'>): never => {
    const path = pathOf(step);
    throw new SpecError('SPEC_INVALID', `the ${kind} document at ${path} ${problem.message}.`, {
      problems: [{ path, ...problem }],
    });
  };
  const root: Step = { value: document, depth: 0 };
  const waiting: Step[] = [root];
  let count = 1;
  for (let step = waiting.pop(); step; step = waiting.pop()) {
    const problem = problemOf(step);
    if (problem) refuse(step, problem);
    if (typeof step.value !== 'object' || step.value === null) continue;
    const keys = Array.isArray(step.value) ? step.value.keys() : Object.keys(step.value);
    for (const key of keys) {
      if (typeof key === 'string' && (forbiddenKeys.has(key) || key.length > 1024)) {
        const inner = { value: undefined, depth: step.depth, parent: step, key };
        refuse(inner, { message: 'is under a key that is not allowed', seen: shorten(key) });
      }
      count += 1;
      if (count > documentLimits.values) {
        refuse(root, {
          message: 'holds too many values',
          expected: `at most ${documentLimits.values}`,
        });
      }
      const value = (step.value as Record<Segment, unknown>)[key];
      waiting.push({ value, depth: step.depth + 1, parent: step, key });
    }
  }
}
