import { asNumber, coerce, invalid, type Scalar } from './coerce.ts';
import { createLikeMatcher } from './like.ts';
import { nextAbove, nextBelow } from './neighbours.ts';
import type { VariableType } from './subject.ts';

export const operators = ['==', '!=', '<', '<=', '>', '>=', 'IN', 'IN ANY', 'LIKE'] as const;
export type Operator = (typeof operators)[number];
type Ordering = '<' | '<=' | '>' | '>=';

export const isOperator = (value: unknown): value is Operator =>
  operators.some((operator) => operator === value);

/** Compares one value that was found, no list, with the one that the document names. */
type Test = (seen: unknown) => boolean;

/**
 * What a found value must be. Numbers are compared as bounds, so that every operator is one piece of code. Where
 * `negated`, the condition holds when this does not: `!=` holds for what is not known, too.
 */
export interface Comparison {
  readonly negated: boolean;
  readonly test: Test;
  /** Of numbers: the test as `low <= seen && seen <= high`. */
  readonly bounds?: { readonly low: number; readonly high: number };
}

const maxListLength = 1000;

const boundsOf: Readonly<Record<Ordering | '==', (value: number) => readonly [number, number]>> = {
  '==': (value) => [value, value],
  '<': (value) => [Number.NEGATIVE_INFINITY, nextBelow(value)],
  '<=': (value) => [Number.NEGATIVE_INFINITY, value],
  '>': (value) => [nextAbove(value), Number.POSITIVE_INFINITY],
  '>=': (value) => [value, Number.POSITIVE_INFINITY],
};

const orderings: Readonly<Record<Ordering | '==', (order: number) => boolean>> = {
  '==': (order) => order === 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

/** Where the document may hold anything, text that says the same number or truth value is equal. */
function compareWith(wanted: Scalar): (seen: unknown) => number | undefined {
  const number = typeof wanted === 'boolean' ? Number(wanted) : asNumber(wanted);
  const text = String(wanted);
  return (seen) => {
    if (typeof seen === 'number') return Number.isNaN(number) ? undefined : seen - number;
    if (typeof seen === 'boolean') return String(seen) === text ? 0 : undefined;
    if (typeof seen !== 'string') return undefined;
    return seen === text ? 0 : seen < text ? -1 : 1;
  };
}

/** What {@link compareWith} calls equal, by look-up: a filter may ask it of every device of thousands of nodes. */
function isOneOf(wanted: readonly Scalar[]): Test {
  const texts = new Set(wanted.map(String));
  const numbers = new Set(
    wanted.map((each) => (typeof each === 'boolean' ? Number(each) : asNumber(each))),
  );
  numbers.delete(Number.NaN);
  return (seen) => {
    if (typeof seen === 'number') return numbers.has(seen);
    return (typeof seen === 'string' || typeof seen === 'boolean') && texts.has(String(seen));
  };
}

function order(type: VariableType, operator: Ordering | '==', wanted: Scalar): Comparison {
  const negated = false;
  if ((type === 'number' || type === 'bytes') && typeof wanted === 'number') {
    const [low, high] = boundsOf[operator](wanted);
    const test: Test = (seen) => typeof seen === 'number' && seen >= low && seen <= high;
    return { negated, test, bounds: { low, high } };
  }
  if (operator === '==' && (type === 'text' || type === 'truth')) {
    return { negated, test: (seen) => seen === wanted };
  }
  const compare = compareWith(wanted);
  const holds = orderings[operator];
  const test: Test = (seen) => {
    const found = compare(seen);
    return found !== undefined && holds(found);
  };
  return { negated, test };
}

function oneOf(type: VariableType, value: unknown, path: string): Comparison {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > maxListLength) {
    invalid({ path, message: 'holds too many values', expected: `at most ${maxListLength}` });
  }
  const wanted = list.map((each, at) =>
    coerce(type, each, Array.isArray(value) ? `${path}[${at}]` : path),
  );
  if (type === 'any') return { negated: false, test: isOneOf(wanted) };
  const set = new Set<unknown>(wanted);
  return { negated: false, test: (seen) => set.has(seen) };
}

/**
 * Compiles an operator and a value for a variable of this type.
 *
 * @param path - of the condition
 * @throws {AiosError} FILTER_INVALID with one problem
 */
export function createComparison(
  type: VariableType,
  operator: Operator,
  value: unknown,
  path: string,
): Comparison {
  const valuePath = `${path}.value`;
  if (type === 'things') {
    invalid({
      path: `${path}.variable`,
      message: "can only be counted: use {aggOperator: 'count', target, operator, value}",
    });
  }
  switch (operator) {
    case '!=':
      return { ...order(type, '==', coerce(type, value, valuePath)), negated: true };
    case 'IN':
    case 'IN ANY':
      return oneOf(type, value, valuePath);
    case 'LIKE': {
      if (type !== 'text' && type !== 'any') {
        const what = type === 'truth' ? 'true or false' : 'a number';
        invalid({
          path: `${path}.operator`,
          message: `compares text, and this variable is ${what}`,
        });
      }
      const matches = createLikeMatcher(String(coerce('text', value, valuePath)));
      const test: Test = (seen) =>
        seen !== undefined && typeof seen !== 'object' && matches(String(seen));
      return { negated: false, test };
    }
    default:
      if (type === 'truth' && operator !== '==') {
        invalid({
          path: `${path}.operator`,
          message: 'puts in order, and this variable is true or false',
          expected: 'one of: ==, !=, IN',
        });
      }
      return order(type, operator, coerce(type, value, valuePath));
  }
}
