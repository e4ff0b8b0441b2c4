import type { z } from 'zod';
import { PolicyError, type Problem } from '../../sdk/errors.ts';
import { type HookName, hooks } from '../../sdk/hooks.ts';
import { problemsOf } from '../../sdk/spec/issues.ts';
import { Reading } from '../../sdk/spec/reading.ts';
import { meanings } from './meaning.ts';

type Meaning = (input: unknown, output: unknown) => readonly Problem[];

/**
 * @returns the answer with defaults filled in
 * @throws {PolicyError} POLICY_OUTPUT_INVALID with every problem
 */
export function checkOutput(
  uri: string,
  hook: HookName,
  action: string,
  input: unknown,
  output: unknown,
): unknown {
  // The types of hooks.ts tie the three together; a generic index cannot show it.
  const schema = (hooks[hook].outputs as Readonly<Record<string, z.ZodType>>)[action];
  const meaning = (meanings[hook] as Readonly<Record<string, Meaning>>)[action];
  if (!schema || !meaning) {
    throw new PolicyError('UNSUPPORTED', `hook '${hook}' has no action '${action}'.`);
  }
  const parsed = schema.safeParse(output);
  const problems = parsed.success
    ? meaning(input, parsed.data)
    : problemsOf(parsed.error.issues, schema, output, new Reading());
  if (!parsed.success || problems.length > 0) {
    const [first] = problems;
    throw new PolicyError(
      'POLICY_OUTPUT_INVALID',
      `policy '${uri}' gave a wrong answer to ${hook}.${action}: ${first ? `${first.path} ${first.message}${first.expected ? `; expected ${first.expected}` : ''}${first.seen ? `, got ${first.seen}` : ''}` : 'no JSON'}.`,
      { problems: problems.slice(0, 20) },
    );
  }
  return parsed.data;
}
