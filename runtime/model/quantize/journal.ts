import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { ConvertedChunk } from './convert-job.ts';

/** What is written already, by the digest of each chunk: a line a chunk, added when it is in its place. */
export interface Journal {
  /** From an earlier run. They are claims: what lies there may be otherwise. */
  readonly digests: ReadonlyMap<string, string>;
  add(chunk: ConvertedChunk): Promise<void>;
  close(): Promise<void>;
}

const entry = z.tuple([z.string().max(1000), z.string().regex(/^[0-9a-f]{64}$/)]);
const maxEntries = 1_000_000;

/** @param path - created when it is not there */
export async function openJournal(path: string): Promise<Journal> {
  const file = await open(path, 'a');
  const digests = new Map<string, string>();
  try {
    const lines = createInterface({ input: createReadStream(path), crlfDelay: Infinity });
    for await (const line of lines) {
      // The last line of a process that was killed may be half a line.
      const parsed = entry.safeParse(parseLine(line));
      if (parsed.success) digests.set(...parsed.data);
      if (digests.size >= maxEntries) break;
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return {
    digests,
    add: ({ id, digest }) => append(file, `\n${JSON.stringify([id, digest])}`),
    close: () => file.close(),
  };
}

const append = async (file: FileHandle, line: string): Promise<void> => {
  await file.write(line);
};

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
