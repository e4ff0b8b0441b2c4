import { AiosError } from '../sdk/errors.ts';
import type { Context } from './context.ts';

export interface DocumentArguments {
  readonly spec?: string | undefined;
  readonly file?: string | undefined;
}

/** @returns the file named, or `-` for standard input. @throws {AiosError} REQUEST_INVALID - none, or two */
export function namedFile({ spec, file }: DocumentArguments): string {
  const named = [spec, file].filter((name) => name !== undefined);
  const [only] = named;
  if (only === undefined || named.length > 1) {
    const message =
      named.length > 1
        ? `two documents were named, '${spec}' and '${file}'; name one.`
        : 'name a document: a file, or `-f -` for standard input.';
    throw new AiosError('REQUEST_INVALID', message);
  }
  return only;
}

/** Line and column of a character, both from 1. */
function lineAndColumn(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n');
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
}

/** @param source - what the text is called in the error: a file's name */
export function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const offset = /position (\d+)/.exec(reason)?.[1];
    const place =
      offset === undefined ? source : `${source}:${lineAndColumn(text, Number(offset))}`;
    throw new AiosError('SPEC_INVALID', `${place} is not JSON: ${reason}.`, {
      cause,
      problems: [{ path: place, message: reason }],
    });
  }
}

/** Reads a JSON document from a file or standard input. */
export async function readDocument(context: Context, file: string): Promise<unknown> {
  return parseJson(await context.readText(file), file === '-' ? 'standard input' : file);
}
