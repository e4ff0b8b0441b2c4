import type { z } from 'zod';
import { SpecError } from '../errors.ts';
import { problemsOf } from './issues.ts';
import { Reading } from './reading.ts';

/**
 * Reads a request by its schema.
 *
 * @param what - it is, for the message: `a scale request`
 * @param at - path of the value in what the user sent
 * @throws {SpecError} SPEC_INVALID - with every problem
 */
export function parseAs<S extends z.ZodType>(
  what: string,
  schema: S,
  value: unknown,
  at = '$',
): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const reading = new Reading();
  reading.place([], at);
  const problems = problemsOf(parsed.error.issues, schema, value, reading);
  const [first] = problems;
  throw new SpecError('SPEC_INVALID', `${what}: ${first?.path} ${first?.message}.`, { problems });
}
