import { appendFile, open, readdir, rm, stat, truncate } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import { AiosError } from '../../../sdk/errors.ts';
import { noteMark } from '../backend.ts';

const maxLogBytes = 8 * 2 ** 20;
const keptBytes = 2 ** 20;
const keptLogs = 200;
const maxTailLines = 10_000;
const followIntervalMs = 200;

/** Bytes `[start, start + maxBytes)` of a file, as far as they exist; `start` may be negative: from the end. */
async function readRange(path: string, start: number, maxBytes: number): Promise<Buffer> {
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) return Buffer.alloc(0);
  try {
    const { size } = await file.stat();
    const from = start < 0 ? Math.max(0, size + start) : Math.min(start, size);
    const length = Math.min(maxBytes, size - from);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, from);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

const sizeOf = async (path: string): Promise<number> =>
  (await stat(path).catch(() => undefined))?.size ?? 0;

/** The last whole lines of a file, and the start of the next one. */
async function readTail(path: string, count: number) {
  const end = await sizeOf(path);
  const start = Math.max(0, end - keptBytes);
  const lines = (await readRange(path, start, end - start)).toString('utf8').split('\n');
  const unfinished = lines.pop() ?? '';
  if (start > 0) lines.shift();
  return { lines: count > 0 ? lines.slice(-count) : [], unfinished, end };
}

export async function lastLines(path: string, count: number): Promise<readonly string[]> {
  const { lines, unfinished } = await readTail(path, count);
  return unfinished ? [...lines, unfinished].slice(-count) : lines;
}

async function assertExists(path: string): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (info) return;
  const name = basename(path, '.log');
  throw new AiosError(
    'NOT_FOUND',
    `Instance '${name}' has no log: it never ran, or its log was removed.`,
  );
}

/** The last lines, oldest first, then with `follow` each new one until the signal aborts. */
export async function* readLog(
  path: string,
  options: { readonly tail: number; readonly follow: boolean; readonly signal: AbortSignal },
): AsyncIterable<string> {
  await assertExists(path);
  const tail = Math.min(Math.max(0, options.tail), maxTailLines);
  if (!options.follow) {
    if (tail > 0) yield* await lastLines(path, tail);
    return;
  }
  const first = await readTail(path, tail);
  yield* first.lines;
  const decoder = new StringDecoder('utf8');
  let { unfinished, end: offset } = first;
  while (!options.signal.aborted) {
    await sleep(followIntervalMs, undefined, { signal: options.signal }).catch(() => undefined);
    const size = await sizeOf(path);
    // It was cut (see `limitLog`): what follows is new.
    if (size < offset) offset = 0;
    const added = await readRange(path, offset, keptBytes);
    offset += added.byteLength;
    const lines = (unfinished + decoder.write(added)).split('\n');
    unfinished = (lines.pop() ?? '').slice(0, keptBytes);
    yield* lines;
  }
}

/**
 * Cuts a log that grew too long. Instances write to it directly and keep writing when no control plane runs, so it cannot
 * be swapped for another file; it is opened for appending, and the next line lands at its new end.
 */
export async function limitLog(path: string): Promise<void> {
  if ((await sizeOf(path)) <= maxLogBytes) return;
  const kept = await readRange(path, -keptBytes, keptBytes);
  await truncate(path, 0);
  const file = await open(path, 'a');
  try {
    await file.write(`${noteMark}the log passed ${maxLogBytes} bytes; older lines were dropped\n`);
    await file.write(kept.subarray(kept.indexOf(10) + 1));
  } finally {
    await file.close();
  }
}

/** Adds a line of the platform's. Never throws: a log that cannot be written to ends nothing. */
export async function noteLog(path: string, line: string): Promise<void> {
  const text = `${noteMark}${line.replaceAll(/\s*\n\s*/g, ' ')}\n`;
  await appendFile(path, text, { mode: 0o600 }).catch((error: Error) => process.emitWarning(error));
}

/** Removes the oldest logs of instances that are no more. */
export async function pruneLogs(folder: string, inUse: ReadonlySet<string>): Promise<void> {
  const names = (await readdir(folder)).filter((name) => !inUse.has(name.replace(/\.log$/, '')));
  if (names.length <= keptLogs) return;
  const dated = await Promise.all(
    names.map(async (name) => {
      const info = await stat(join(folder, name)).catch(() => undefined);
      return { name, at: info?.mtimeMs ?? 0 };
    }),
  );
  dated.sort((a, b) => b.at - a.at);
  for (const { name } of dated.slice(keptLogs)) await rm(join(folder, name), { force: true });
}
