import { AiosError } from '../sdk/errors.ts';
import type { Json } from '../sdk/packet.ts';
import type { Context } from './context.ts';

/**
 * JSON that was written on the command line, or `-` for standard input.
 *
 * @throws {AiosError} REQUEST_INVALID - names the option
 */
export async function readJsonOption(
  context: Context,
  name: string,
  text: string | undefined,
): Promise<Json | undefined> {
  if (text === undefined) return undefined;
  const given = text === '-' ? await context.readText('-') : text;
  try {
    return JSON.parse(given) as Json;
  } catch (cause) {
    const { message } = cause as Error;
    throw new AiosError('REQUEST_INVALID', `${name} is no JSON: ${message}.`, { cause });
  }
}
