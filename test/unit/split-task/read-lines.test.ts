import { PassThrough, Readable } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { linesAtOnce, readLines } from '../../../runtime/split-task/read-lines.ts';

test('every line arrives once, however the stream is cut', async () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(fc.array(text), fc.integer({ min: 1, max: 7 }), async (words, pieceBytes) => {
      const lines = words.map((word) => word.replaceAll(/[\r\n]/g, '_'));
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      const pieces = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, n) =>
        bytes.subarray(n * pieceBytes, (n + 1) * pieceBytes),
      );
      const read: string[] = [];

      await readLines(Readable.from(pieces), 1000, (line) => read.push(line));

      expect(read).toEqual(lines);
    }),
  );
});

test('others get their turn after every 1000 lines, also within one piece', async () => {
  const stream = Readable.from(Array.from({ length: 5 }, () => Buffer.from('x\n'.repeat(32_768))));
  let sinceTurn = 0;
  let most = 0;
  let lines = 0;
  let isOver = false;
  const turn = (): void => {
    most = Math.max(most, sinceTurn);
    sinceTurn = 0;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);

  await readLines(stream, 2000, () => {
    sinceTurn += 1;
    lines += 1;
  });
  isOver = true;

  expect(lines).toBe(5 * 32_768);
  expect(Math.max(most, sinceTurn)).toBeLessThanOrEqual(linesAtOnce);
});

test('whoever writes while nobody has time for it waits', async () => {
  const stream = new PassThrough();
  const lines: string[] = [];
  const reading = readLines(stream, 10, (line) => lines.push(line));
  await new Promise((resolve) => setImmediate(resolve));
  const isTaken = [];
  for (let n = 0; n < 20; n += 1) isTaken.push(stream.write('y\n'.repeat(32_768)));

  expect(isTaken).toContain(false);
  stream.end();
  await reading;
  expect(lines).toHaveLength(20 * 32_768);
});

test('of a stream that breaks, what was read is handed on', async () => {
  const stream = new PassThrough();
  const lines: string[] = [];
  const reading = readLines(stream, 10, (line) => lines.push(line));
  stream.write('one\ntwo');
  await new Promise((resolve) => setImmediate(resolve));
  stream.destroy(new Error('it broke'));
  await reading;

  expect(lines).toEqual(['one', 'two']);
});
