import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { setImmediate } from 'node:timers/promises';

/** How many lines are handed on before others get their turn; whoever writes more has to wait. */
export const linesAtOnce = 1000;

/** What is read of a stream until it ends, breaks or is destroyed. */
export async function* piecesOf(stream: Readable): AsyncGenerator<Buffer> {
  try {
    yield* stream;
  } catch {
    // What was read until then is all there is.
  }
}

/**
 * Lines of a stream, each cut off after `maxCharacters`: a line without an end takes no more memory than one with.
 *
 * @returns once its last line is handed on
 */
export async function readLines(
  stream: Readable,
  maxCharacters: number,
  onLine: (line: string) => void,
): Promise<void> {
  const decoder = new StringDecoder('utf8');
  let line = '';
  let inThisTurn = 0;
  const take = (text: string): void => {
    if (line.length < maxCharacters) line += text.slice(0, maxCharacters - line.length);
  };
  for await (const bytes of piecesOf(stream)) {
    const parts = decoder.write(bytes).split('\n');
    for (const [index, part] of parts.entries()) {
      take(part);
      if (index === parts.length - 1) break;
      onLine(line.replace(/\r$/, ''));
      line = '';
      inThisTurn += 1;
      if (inThisTurn < linesAtOnce) continue;
      inThisTurn = 0;
      await setImmediate();
    }
  }
  if (line !== '') onLine(line);
}
