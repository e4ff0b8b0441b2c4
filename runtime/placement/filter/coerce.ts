import { AiosError, type Problem } from '../../../sdk/errors.ts';
import { parseBytes } from '../../../sdk/units.ts';
import { showJson } from './show.ts';
import type { VariableType } from './subject.ts';

export type Scalar = number | string | boolean;

const maxTextLength = 1000;

/** @returns NaN for what is no number */
export const asNumber = (value: unknown): number => {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
};

export function invalid(problem: Problem): never {
  throw new AiosError('FILTER_INVALID', problem.message, { problems: [problem] });
}

const truths = new Map<unknown, boolean>([
  [true, true],
  ['true', true],
  [false, false],
  ['false', false],
]);

/**
 * The value as the field's type; AIOS documents write numbers as text in nearly every example.
 *
 * @throws {AiosError} FILTER_INVALID with one problem
 */
export function coerce(type: VariableType, value: unknown, path: string): Scalar {
  const refuse = (expected: string): never =>
    invalid({ path, message: 'has a value of the wrong type', expected, seen: showJson(value) });
  if (typeof value === 'string' && value.length > maxTextLength) {
    return refuse(`at most ${maxTextLength} characters`);
  }
  switch (type) {
    case 'number': {
      const number = asNumber(value);
      return Number.isFinite(number) ? number : refuse('a number');
    }
    case 'bytes':
      try {
        if (typeof value === 'number' || typeof value === 'string') return parseBytes(value);
      } catch {
        // Reported below, with its place.
      }
      return refuse("bytes, such as 1048576 or '2Gi'");
    case 'text':
      return typeof value === 'string' ? value : refuse('text');
    case 'truth':
      return truths.get(value) ?? refuse('true or false');
    default:
      return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? value
        : refuse('text, a number, true or false');
  }
}
