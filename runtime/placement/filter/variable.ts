import { statsOf } from './batch.ts';
import { asNumber } from './coerce.ts';
import type { ListVariable, ScalarVariable, VariableType } from './subject.ts';

/** A number that is NaN where it is not known. */
export const numberVariable = <S>(
  number: (subject: S) => number,
  type: 'number' | 'bytes' = 'number',
): ScalarVariable<S> => ({ type, list: false, number, read: number });

export const scalarVariable = <S>(
  type: VariableType,
  read: (subject: S) => unknown,
): ScalarVariable<S> => ({ type, list: false, read });

/** One value of each of a subject's things: a list that is never built. */
export function listVariable<S, T>(
  type: VariableType,
  thingsOf: (subject: S) => readonly T[],
  read: (thing: T) => unknown,
): ListVariable<S> {
  return {
    type,
    list: true,
    read: (subject) =>
      thingsOf(subject)
        .map(read)
        .filter((value) => value !== undefined && !Number.isNaN(value)),
    some(subject, test) {
      const things = thingsOf(subject);
      for (let at = 0; at < things.length; at += 1) if (test(read(things[at] as T))) return true;
      return false;
    },
    size: (subject) => thingsOf(subject).length,
  };
}

export function numbersVariable<S, T>(
  thingsOf: (subject: S) => readonly T[],
  read: (thing: T) => number,
  type: 'number' | 'bytes' = 'number',
): ListVariable<S> {
  const stats = (subject: S) => statsOf(thingsOf(subject), read);
  return {
    ...listVariable(type, thingsOf, read),
    stats,
    // Only known values are counted.
    size: (subject) => stats(subject).count,
  };
}

/** Follows keys into a document; nothing that is inherited is found. */
export function descend(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string, unknown>)[key];
  }
  return at;
}

const asList = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : value === undefined ? [] : [value];

/** Numbers, and text that says one, as AIOS's documents write them. */
const numbersIn = (values: readonly unknown[]): number[] => values.map(asNumber);

/** What lies somewhere in a free document: one value, or a list of which any may satisfy a condition. */
export const openVariable = <S>(
  read: (subject: S) => unknown,
  type: VariableType = 'any',
): ListVariable<S> => ({
  type,
  list: true,
  read,
  some(subject, test) {
    const value = read(subject);
    return Array.isArray(value) ? value.some(test) : value !== undefined && test(value);
  },
  size: (subject) => asList(read(subject)).length,
  stats: (subject) => statsOf(numbersIn(asList(read(subject))), (value) => value),
});
