import { AiosError } from '../sdk/errors.ts';
import type { Context } from './context.ts';

/**
 * Keys that clients may use: of the file, one a line, and of AIOS_API_KEY. Blank lines and those that begin with `#` are
 * none.
 *
 * @param file - undefined: none was named
 * @throws {AiosError} NOT_FOUND - there is no such file; REQUEST_INVALID - it holds no key, or one that nobody can send
 */
export async function readApiKeys(context: Context, file: string | undefined): Promise<string[]> {
  const fromFile = file === undefined ? [] : readLines(file, await context.readText(file));
  const own = (context.io.env.AIOS_API_KEY ?? '').trim();
  return own === '' ? fromFile : [...fromFile, own];
}

function readLines(file: string, text: string): string[] {
  const lines = text.split('\n').map((line) => line.trim());
  const keys = lines.filter((line) => line !== '' && !line.startsWith('#'));
  const from = file === '-' ? 'standard input' : `'${file}'`;
  // Whoever names a file of keys means that nobody comes in without one.
  if (keys.length === 0) {
    throw new AiosError(
      'REQUEST_INVALID',
      `--api-key-file: ${from} holds no key. Write one a line, such as what \`openssl rand -hex 32\` prints, or leave the option out.`,
    );
  }
  const spaced = keys.find((key) => /\s/.test(key));
  if (spaced !== undefined) {
    throw new AiosError(
      'REQUEST_INVALID',
      `--api-key-file: line ${lines.indexOf(spaced) + 1} of ${from} has a space in it, and a key is one word. Put comments on lines of their own, after a #.`,
    );
  }
  return keys;
}
