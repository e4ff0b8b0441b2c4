import { createHash } from 'node:crypto';
import { readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  defaultHashCachePath,
  hashBytes,
  hashFile,
  shortHash,
} from '../../../runtime/model/hash.ts';
import { temporaryFolder } from './workspace.ts';

const signal = new AbortController().signal;

/** Writes a file that nobody has touched for a minute. */
async function writeSettled(path: string, content: string): Promise<void> {
  await writeFile(path, content);
  const minuteAgo = Date.now() / 1000 - 60;
  await utimes(path, minuteAgo, minuteAgo);
}

test('a content hash is SHA-256, of a file as of its bytes', async () => {
  const path = join(await temporaryFolder(), 'file');
  const bytes = Buffer.alloc(3_000_000, 'aios');
  await writeFile(path, bytes);
  let seen = 0;

  const hash = await hashFile(path, { signal, onBytes: (count) => (seen += count) });

  expect(hash).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
  expect(hash).toBe(hashBytes(bytes.subarray(0, 7), bytes.subarray(7)));
  expect(shortHash(hash)).toBe(hash.slice(7, 19));
  expect(seen).toBe(bytes.length);
});

test('a known file is not read again, and counts as read', async () => {
  const folder = await temporaryFolder();
  const path = join(folder, 'file');
  const cachePath = join(folder, 'cache', 'hashes.json');
  await writeSettled(path, 'content');
  const first = await hashFile(path, { cachePath, signal });
  const counts: number[] = [];

  const second = await hashFile(path, {
    cachePath,
    signal,
    onBytes: (count) => counts.push(count),
  });

  expect(second).toBe(first);
  expect(counts).toEqual([7]);
  expect(JSON.parse(await readFile(cachePath, 'utf8')).entries).toHaveLength(1);
});

test('a file that changes within one tick of its file system’s clock is read again', async () => {
  const folder = await temporaryFolder();
  const path = join(folder, 'file');
  const cachePath = join(folder, 'hashes.json');
  const now = new Date();
  await writeFile(path, 'before');
  await utimes(path, now, now);
  await hashFile(path, { cachePath, signal });

  await writeFile(path, 'after!');
  await utimes(path, now, now);

  expect(await hashFile(path, { cachePath, signal })).toBe(hashBytes('after!'));
});

test('the cache keeps the newest thousand files', async () => {
  const folder = await temporaryFolder();
  const cachePath = join(folder, 'hashes.json');
  const entry = { sizeBytes: 1, modifiedNs: '1', inode: '1', hash: hashBytes('') };
  const entries = Array.from({ length: 1000 }, (_, i) => ({ path: `/gone/${i}`, ...entry }));
  await writeFile(cachePath, JSON.stringify({ version: 1, entries }));
  await writeSettled(join(folder, 'file'), 'new');

  await hashFile(join(folder, 'file'), { cachePath, signal });

  const kept = JSON.parse(await readFile(cachePath, 'utf8')).entries as { path: string }[];
  expect(kept).toHaveLength(1000);
  expect(kept[0]?.path).toBe(join(folder, 'file'));
  expect(kept.map(({ path }) => path)).not.toContain('/gone/999');
});

test('hashing can be cancelled, and a cache that cannot be written stops nothing', async () => {
  const folder = await temporaryFolder();
  const path = join(folder, 'file');
  await writeFile(path, 'content');

  await expect(hashFile(path, { signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'CANCELLED',
  });
  const hash = await hashFile(path, { signal, cachePath: join(path, 'hashes.json') });
  expect(hash).toBe(hashBytes('content'));
});

test('the cache lies in a folder of the user', () => {
  expect(defaultHashCachePath()).toMatch(/aios.hashes\.json$/);
});
