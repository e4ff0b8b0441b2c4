import type { Readable, Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { SplitError } from '../../sdk/errors.ts';
import { piecesOf } from './read-lines.ts';

export const pipeLimits = {
  /** Of a message. A plan of hundreds of shards takes a few of these. */
  messageBytes: 16 * 2 ** 20,
  /** Messages that are longer are counted. */
  shortBytes: 256 * 2 ** 10,
  /** Reading one of them holds up everybody else. */
  longMessages: 16,
  /** What is read before others get their turn. */
  bytesAtOnce: 64 * 2 ** 10,
  messagesAtOnce: 100,
} as const;

const newline = 10;

/** @returns once the system has it, or the pipe is closed. @throws {TypeError} the message is no JSON */
export function writeMessage(pipe: Writable, message: unknown): Promise<void> {
  const line = `${JSON.stringify(message)}\n`;
  return new Promise((resolve) => {
    if (pipe.writable) pipe.write(line, () => resolve());
    else resolve();
  });
}

/**
 * Messages of a pipe, one a line of JSON, until it ends; lines that are no JSON are passed over. Whoever does not ask for
 * the next one makes the writer wait.
 *
 * @throws {SplitError} SPLITTER_FAILED - a message is too long, or too many are long
 */
export async function* readMessages(pipe: Readable): AsyncGenerator<unknown> {
  const line = createGrowingLine();
  let long = 0;
  let bytesInThisTurn = 0;
  let messagesInThisTurn = 0;
  for await (const piece of piecesOf(pipe)) {
    let from = 0;
    for (;;) {
      const end = piece.indexOf(newline, from);
      line.add(piece.subarray(from, end < 0 ? piece.length : end));
      if (end < 0) break;
      from = end + 1;
      const text = line.take();
      bytesInThisTurn += text.length;
      messagesInThisTurn += 1;
      if (text.length > pipeLimits.shortBytes) long += 1;
      if (long > pipeLimits.longMessages) {
        throw tooMuch(`${long} messages of more than ${pipeLimits.shortBytes} bytes`);
      }
      yield* parsed(text);
      const hadItsTurn =
        bytesInThisTurn >= pipeLimits.bytesAtOnce ||
        messagesInThisTurn >= pipeLimits.messagesAtOnce;
      if (!hadItsTurn) continue;
      bytesInThisTurn = 0;
      messagesInThisTurn = 0;
      await setImmediate();
    }
  }
}

function* parsed(text: string): Generator<unknown> {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return;
  }
  yield message;
}

/** Pieces of a line in one buffer that doubles: a byte at a time costs no more than all at once. */
function createGrowingLine() {
  let held = Buffer.alloc(0);
  let heldBytes = 0;
  return {
    /** @throws {SplitError} SPLITTER_FAILED */
    add(piece: Buffer): void {
      const neededBytes = heldBytes + piece.length;
      if (neededBytes > pipeLimits.messageBytes) {
        throw tooMuch(`a message of more than ${pipeLimits.messageBytes} bytes`);
      }
      if (neededBytes > held.length) {
        const grown = Buffer.allocUnsafe(Math.max(held.length * 2, neededBytes));
        held.copy(grown, 0, 0, heldBytes);
        held = grown;
      }
      piece.copy(held, heldBytes);
      heldBytes = neededBytes;
    },
    take(): string {
      const text = held.toString('utf8', 0, heldBytes);
      heldBytes = 0;
      if (held.length > pipeLimits.shortBytes) held = Buffer.alloc(0);
      return text;
    },
  };
}

const tooMuch = (what: string): SplitError =>
  new SplitError(
    'SPLITTER_FAILED',
    `the process that split the model said ${what} and was ended. Nothing was kept. Plans name files; what is large belongs into those.`,
  );
