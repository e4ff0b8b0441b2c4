import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** Lines of a stream, each cut off after `maxCharacters`: a line without an end takes no more memory than one with. */
export function readLines(
  stream: Readable,
  maxCharacters: number,
  onLine: (line: string) => void,
): void {
  const decoder = new StringDecoder('utf8');
  let line = '';
  const take = (text: string): void => {
    if (line.length < maxCharacters) line += text.slice(0, maxCharacters - line.length);
  };
  stream.on('data', (bytes: Buffer) => {
    const parts = decoder.write(bytes).split('\n');
    for (const [index, part] of parts.entries()) {
      take(part);
      if (index === parts.length - 1) break;
      onLine(line.replace(/\r$/, ''));
      line = '';
    }
  });
  stream.on('end', () => {
    if (line !== '') onLine(line);
  });
}
