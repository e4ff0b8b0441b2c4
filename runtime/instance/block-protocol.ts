import type { z } from 'zod';
import { BlockError, type Problem } from '../../sdk/errors.ts';

/**
 * Checks a value that crosses the border of an author's block.
 *
 * @param what - `input`, `output`, `settings` or `parameters`: the root of every path
 * @throws {BlockError} PROTOCOL_MISMATCH with every problem
 */
export async function checkProtocol(
  blockId: string,
  what: 'input' | 'output' | 'settings' | 'parameters',
  schema: z.ZodType,
  value: unknown,
): Promise<unknown> {
  const checked = await schema.safeParseAsync(value);
  if (checked.success) return checked.data;
  const problems: Problem[] = checked.error.issues.slice(0, 20).map(({ path, message }) => ({
    path: [`$.${what}`, ...path.map(String)].join('.'),
    message,
  }));
  const listed = problems.map(({ path, message }) => `${path}: ${message}`).join('; ');
  throw new BlockError('PROTOCOL_MISMATCH', `block '${blockId}' and its ${what}: ${listed}.`, {
    problems,
    details: { blockId, side: what },
  });
}
