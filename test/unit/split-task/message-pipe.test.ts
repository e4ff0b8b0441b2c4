import { PassThrough, Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  pipeLimits,
  readMessages,
  writeMessage,
} from '../../../runtime/split-task/message-pipe.ts';

async function read(pieces: Iterable<Buffer>): Promise<unknown[]> {
  const messages: unknown[] = [];
  for await (const message of readMessages(Readable.from(pieces))) messages.push(message);
  return messages;
}
const inPieces = (bytes: Buffer, pieceBytes: number): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, n) =>
    bytes.subarray(n * pieceBytes, (n + 1) * pieceBytes),
  );

describe('messages of a pipe', () => {
  test('arrive as they were written, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.jsonValue()),
        fc.integer({ min: 1, max: 9 }),
        async (said, bytes) => {
          const pipe = new PassThrough();
          for (const message of said) void writeMessage(pipe, message);
          pipe.end();
          const written = Buffer.concat(await pipe.toArray());

          expect(await read(inPieces(written, bytes))).toEqual(JSON.parse(JSON.stringify(said)));
        },
      ),
    );
  });

  test('are passed over where they are no JSON, or have no end', async () => {
    expect(await read([Buffer.from('{"a":1\n\n7\nnope\n[2]\n{"b":')])).toEqual([7, [2]]);
  });

  test('may be as long as the limit and no longer', async () => {
    const longest = Buffer.from(JSON.stringify('x'.repeat(pipeLimits.messageBytes - 2)));
    const end = Buffer.from('\n');

    expect(await read([...inPieces(longest, 2 ** 16), end])).toHaveLength(1);
    await expect(read([...inPieces(longest, 2 ** 16), Buffer.from('x')])).rejects.toMatchObject({
      code: 'SPLITTER_FAILED',
      message: expect.stringContaining('16777216 bytes'),
    });
  });

  test('are not read further where too many are long', async () => {
    const long = Buffer.from(`"${'x'.repeat(pipeLimits.shortBytes)}"\n`);

    const most = Array.from({ length: pipeLimits.longMessages }, () => long);
    expect(await read(most)).toHaveLength(pipeLimits.longMessages);
    await expect(read([...most, long])).rejects.toMatchObject({ code: 'SPLITTER_FAILED' });
  });

  test('leave others their turn', async () => {
    let sinceTurn = 0;
    let most = 0;
    let isOver = false;
    const turn = (): void => {
      most = Math.max(most, sinceTurn);
      sinceTurn = 0;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);

    for await (const _ of readMessages(Readable.from([Buffer.from('7\n'.repeat(30_000))]))) {
      sinceTurn += 1;
    }
    isOver = true;

    expect(Math.max(most, sinceTurn)).toBeLessThanOrEqual(pipeLimits.messagesAtOnce);
  });
});
