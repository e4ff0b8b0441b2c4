import type { z } from 'zod';
import { AiosError, type Problem } from '../../sdk/errors.ts';
import { problemsOf } from '../../sdk/spec/issues.ts';
import { maxProblems, Reading } from '../../sdk/spec/reading.ts';

/**
 * Objects, lists and single values of a request together. A schema looks at all of them and says what is wrong with each,
 * so a body of megabytes that is wrong everywhere would hold the process for minutes.
 */
const maxValues = 20_000;

export interface ParseOptions<Value> {
  /** Further problems; given nothing when the document does not fit the schema. */
  readonly check?: (value: Value | undefined) => readonly Problem[];
  /** Keys at the top whose values the schema does not walk through: they may hold any number of values. */
  readonly opaque?: readonly string[];
}

/**
 * Reads a request's JSON by its schema.
 *
 * @throws {AiosError} REQUEST_INVALID - every problem at once, each with its path; REQUEST_TOO_LARGE
 */
export function parseRequest<Schema extends z.ZodType>(
  subject: string,
  schema: Schema,
  document: unknown,
  { check = () => [], opaque = [] }: ParseOptions<z.output<Schema>> = {},
): z.output<Schema> {
  assertFewValues(subject, document, opaque);
  const parsed = schema.safeParse(document);
  const misfits = parsed.success
    ? []
    : problemsOf(parsed.error.issues.slice(0, maxProblems), schema, document, new Reading());
  const problems = [...misfits, ...check(parsed.data)].slice(0, maxProblems);
  if (parsed.success && problems.length === 0) return parsed.data;
  const [first] = problems;
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems, the first`;
  throw new AiosError(
    'REQUEST_INVALID',
    `${subject} has ${count} at ${first?.path}: ${first?.message}.`,
    { problems },
  );
}

function assertFewValues(subject: string, document: unknown, opaque: readonly string[]): void {
  const waiting: unknown[] = [document];
  let count = 0;
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    const skipped = value === document ? opaque : [];
    const keys = Array.isArray(value) ? value : Object.keys(value);
    count += keys.length;
    if (count > maxValues) {
      throw new AiosError(
        'REQUEST_TOO_LARGE',
        `${subject} holds more than ${maxValues} values; that is no request.`,
      );
    }
    if (Array.isArray(value)) waiting.push(...value.filter(isContainer));
    else {
      for (const [key, inner] of Object.entries(value)) {
        if (isContainer(inner) && !skipped.includes(key)) waiting.push(inner);
      }
    }
  }
}

const isContainer = (value: unknown): boolean => typeof value === 'object' && value !== null;

/** One look, one problem: a list of millions of wrong ids must not become millions of them. */
export const isTokenIds = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((token) => Number.isSafeInteger(token) && token >= 0);
