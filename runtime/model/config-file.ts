import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import type { Problem } from '../../sdk/errors.ts';

/** Reads a bounded JSON file. @returns undefined after adding a problem */
export async function readJsonFile(
  folder: string,
  name: string,
  maxBytes: number,
  problems: Problem[],
): Promise<unknown> {
  const path = join(folder, name);
  const expected = `a JSON file of at most ${maxBytes} bytes`;
  try {
    const { size: sizeBytes } = await stat(path);
    if (sizeBytes > maxBytes) {
      problems.push({ path: name, message: 'is too large.', expected, seen: `${sizeBytes} bytes` });
      return undefined;
    }
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      problems.push({ path: name, message: `is missing in ${folder}.`, expected });
    } else {
      const reason = error instanceof Error ? error.message : String(error);
      problems.push({ path: name, message: `cannot be read: ${reason}.`, expected });
    }
    return undefined;
  }
}

/** Parses with a schema; each issue becomes a problem at `file: $.path`. */
export function parseDocument<T>(
  schema: z.ZodType<T>,
  document: unknown,
  file: string,
  problems: Problem[],
): T | undefined {
  const result = schema.safeParse(document);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    problems.push({
      path: `${file}: ${['$', ...issue.path].join('.')}`,
      message: `${issue.message}.`,
    });
  }
  return undefined;
}
