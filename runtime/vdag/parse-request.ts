import type { z } from 'zod';
import { AiosError, formatProblems, type Problem } from '../../sdk/errors.ts';
import { problemsOf } from '../../sdk/spec/issues.ts';
import { Reading } from '../../sdk/spec/reading.ts';

/**
 * Reads a request's JSON by its schema.
 *
 * @param check - further problems; given nothing when the document does not fit the schema
 * @throws {AiosError} REQUEST_INVALID - every problem at once, each with its path
 */
export function parseRequest<Schema extends z.ZodType>(
  subject: string,
  schema: Schema,
  document: unknown,
  check: (value: z.output<Schema> | undefined) => readonly Problem[] = () => [],
): z.output<Schema> {
  const parsed = schema.safeParse(document);
  const misfits = parsed.success
    ? []
    : problemsOf(parsed.error.issues, schema, document, new Reading());
  const problems = [...misfits, ...check(parsed.data)];
  if (parsed.success && problems.length === 0) return parsed.data;
  throw new AiosError(
    'REQUEST_INVALID',
    `${subject} is not a request that can be answered:\n${formatProblems(problems)}`,
    { problems },
  );
}
