import { AiosError, type Problem, shorten } from '../../../sdk/errors.ts';
import { parseBytes } from '../../../sdk/units.ts';
import { createLikeMatcher } from './like.ts';
import type { VariableType } from './variables.ts';

export const operators = ['==', '!=', '<', '<=', '>', '>=', 'IN', 'IN ANY', 'LIKE'] as const;
export type Operator = (typeof operators)[number];
type Ordering = '<' | '<=' | '>' | '>=';

export const isOperator = (value: unknown): value is Operator =>
  operators.some((operator) => operator === value);

/** Compares one value that was found with the one that the document names. */
type Test = (seen: unknown) => boolean;

const maxListLength = 1000;
const maxTextLength = 1000;

const orderings: Readonly<Record<Ordering, (order: number) => boolean>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

const asNumber = (value: unknown): number =>
  typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;

/** The value as the field's type; AIOS documents write numbers as text in nearly every example. */
function coerce(type: VariableType, value: unknown, path: string): number | string | boolean {
  const refuse = (expected: string): never => {
    throw new AiosError('FILTER_INVALID', 'has a value of the wrong type', {
      problems: [
        { path, message: 'has a value of the wrong type', expected, seen: shorten(value) },
      ],
    });
  };
  if (typeof value === 'string' && value.length > maxTextLength) {
    return refuse(`at most ${maxTextLength} characters`);
  }
  switch (type) {
    case 'number': {
      const number = typeof value === 'number' ? value : asNumber(value);
      return Number.isFinite(number) ? number : refuse('a number');
    }
    case 'bytes':
      try {
        return parseBytes(typeof value === 'number' ? value : String(value));
      } catch {
        return refuse("bytes, such as 1048576 or '2Gi'");
      }
    case 'text':
      return typeof value === 'string' ? value : refuse('text');
    default:
      return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? value
        : refuse('text, a number, true or false');
  }
}

/** Where the document may hold anything, text that says the same number or truth value is equal. */
function compareWith(wanted: number | string | boolean): (seen: unknown) => number | undefined {
  return (seen) => {
    if (typeof seen === 'number') {
      const number = typeof wanted === 'string' ? asNumber(wanted) : Number(wanted);
      return Number.isNaN(number) ? undefined : seen - number;
    }
    if (typeof seen === 'boolean') return String(seen) === String(wanted) ? 0 : undefined;
    if (typeof seen !== 'string') return undefined;
    const text = String(wanted);
    return seen === text ? 0 : seen < text ? -1 : 1;
  };
}

/** What {@link compareWith} calls equal, by look-up: a filter may ask it of every device of thousands of nodes. */
function isOneOf(wanted: readonly (number | string | boolean)[]): Test {
  const texts = new Set(wanted.map(String));
  const numbers = new Set(
    wanted.map((each) => (typeof each === 'string' ? asNumber(each) : Number(each))),
  );
  numbers.delete(Number.NaN);
  return (seen) => {
    if (typeof seen === 'number') return numbers.has(seen);
    return (typeof seen === 'string' || typeof seen === 'boolean') && texts.has(String(seen));
  };
}

const anyOf =
  (test: Test): Test =>
  (seen) =>
    Array.isArray(seen) ? seen.some(test) : seen !== undefined && test(seen);

/**
 * @returns whether a found value satisfies the condition. A list satisfies it when any element does, except for `!=`, which
 * no element may break; what is not known satisfies `!=` alone
 * @throws {AiosError} FILTER_INVALID with one problem
 */
export function createComparison(
  type: VariableType,
  operator: Operator,
  value: unknown,
  path: string,
): Test {
  const valuePath = `${path}.value`;
  const refuse = (problem: Omit<Problem, 'path'>, at = valuePath): never => {
    throw new AiosError('FILTER_INVALID', problem.message, {
      problems: [{ path: at, ...problem }],
    });
  };
  if (type === 'things') {
    refuse(
      {
        message: "can only be counted: use {aggOperator: 'count', target, operator, value}",
      },
      `${path}.variable`,
    );
  }
  switch (operator) {
    case '==': {
      const compare = compareWith(coerce(type, value, valuePath));
      return anyOf((seen) => compare(seen) === 0);
    }
    case '!=': {
      const compare = compareWith(coerce(type, value, valuePath));
      const equal = anyOf((seen) => compare(seen) === 0);
      return (seen) => !equal(seen);
    }
    case 'IN':
    case 'IN ANY': {
      const list: readonly unknown[] = Array.isArray(value) ? value : [value];
      if (list.length > maxListLength) {
        refuse({ message: 'holds too many values', expected: `at most ${maxListLength}` });
      }
      return anyOf(
        isOneOf(
          list.map((each, at) =>
            coerce(type, each, Array.isArray(value) ? `${valuePath}[${at}]` : valuePath),
          ),
        ),
      );
    }
    case 'LIKE': {
      if (type === 'number' || type === 'bytes') {
        refuse({ message: 'compares text, and this variable is a number' }, `${path}.operator`);
      }
      const matches = createLikeMatcher(String(coerce('text', value, valuePath)));
      return anyOf((seen) => typeof seen !== 'object' && matches(String(seen)));
    }
    default: {
      const compare = compareWith(coerce(type, value, valuePath));
      const holds = orderings[operator];
      return anyOf((seen) => {
        const order = compare(seen);
        return order !== undefined && holds(order);
      });
    }
  }
}
