import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { SplitError } from '../../sdk/errors.ts';
import { type ContentHash, contentHash } from '../../sdk/ids.ts';

export function hashBytes(...parts: readonly (Uint8Array | string)[]): ContentHash {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return contentHash(`sha256:${hash.digest('hex')}`);
}

/** Digits that tell versions apart in a name. */
export const shortHash = (hash: ContentHash) => hash.slice('sha256:'.length, 'sha256:'.length + 12);

const cacheEntry = z.object({
  path: z.string(),
  sizeBytes: z.number(),
  modifiedNs: z.string(),
  inode: z.string(),
  hash: z.string().regex(/^sha256:[0-9a-f]{64}$/),
});
const cacheFile = z.object({ version: z.literal(1), entries: z.array(cacheEntry) });
type CacheEntry = z.output<typeof cacheEntry>;

const maxEntries = 1000;
const maxCacheBytes = 4 * 2 ** 20;
const settledMs = 3000;

/** `aios/hashes.json` in the user's cache folder. */
export function defaultHashCachePath(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  const folder =
    XDG_CACHE_HOME ||
    (process.platform === 'win32' && LOCALAPPDATA) ||
    (process.platform === 'darwin'
      ? join(homedir(), 'Library', 'Caches')
      : join(homedir(), '.cache'));
  return join(folder, 'aios', 'hashes.json');
}

export interface HashFileOptions {
  /** JSON file of hashes computed before. Absent: the file is read. */
  readonly cachePath?: string;
  readonly signal: AbortSignal;
  /** Called with the bytes since the last call; `known`: they were hashed before, and are not read. */
  readonly onBytes?: (bytes: number, known: boolean) => void;
}

/**
 * The content hash of a file, about a second per gigabyte. With `cachePath`, kept by size, time and inode, so that a file
 * is read once, by whichever of its links. One that was written in the last seconds is not kept.
 *
 * @param path - absolute
 * @throws {SplitError} CHECKPOINT_INVALID - it changed while it was read; CANCELLED
 */
export async function hashFile(
  path: string,
  { cachePath, signal, onBytes }: HashFileOptions,
): Promise<ContentHash> {
  const before = await identify(path);
  const known = (await readCache(cachePath)).find((entry) => isSame(entry, before));
  if (known) {
    onBytes?.(before.sizeBytes, true);
    return contentHash(known.hash);
  }

  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20, signal })) {
      hash.update(chunk as Buffer);
      onBytes?.((chunk as Buffer).length, false);
    }
  } catch (error) {
    if (signal.aborted) throw new SplitError('CANCELLED', `hashing ${path} was cancelled.`);
    throw error;
  }
  const result = contentHash(`sha256:${hash.digest('hex')}`);
  if (!isSame(await identify(path), before)) {
    throw new SplitError(
      'CHECKPOINT_INVALID',
      `${path} changed while it was hashed. Wait until it is written completely, then split again.`,
    );
  }
  if (cachePath && isSettled(before)) await writeCache(cachePath, { ...before, hash: result });
  return result;
}

type FileIdentity = Omit<CacheEntry, 'hash'>;

async function identify(path: string): Promise<FileIdentity> {
  const { size, mtimeNs, dev, ino } = await stat(path, { bigint: true });
  // Where files have no number, their path must do.
  const inode = ino === 0n ? path : `${dev}:${ino}`;
  return { path, sizeBytes: Number(size), modifiedNs: `${mtimeNs}`, inode };
}

const isSame = (a: FileIdentity, b: FileIdentity) =>
  a.sizeBytes === b.sizeBytes && a.modifiedNs === b.modifiedNs && a.inode === b.inode;

/**
 * Whether a later write is sure to give the file another time. Clocks of file systems tick in steps of up to two seconds:
 * within one, content changes and everything else stays.
 */
const isSettled = ({ modifiedNs }: FileIdentity) =>
  Date.now() - Number(BigInt(modifiedNs) / 1_000_000n) > settledMs;

/** A cache that is missing, too large or not ours is empty: it only saves time. */
async function readCache(path: string | undefined): Promise<readonly CacheEntry[]> {
  if (!path) return [];
  try {
    if ((await stat(path)).size > maxCacheBytes) return [];
    return cacheFile.parse(JSON.parse(await readFile(path, 'utf8'))).entries;
  } catch {
    return [];
  }
}

/** Read again before writing, so that splits running beside each other lose little. */
async function writeCache(cachePath: string, added: CacheEntry): Promise<void> {
  const others = (await readCache(cachePath)).filter(
    ({ path, inode }) => path !== added.path && inode !== added.inode,
  );
  const entries = [added, ...others].slice(0, maxEntries);
  const temporary = `${cachePath}.${randomUUID()}`;
  try {
    await mkdir(dirname(cachePath), { recursive: true });
    await writeFile(temporary, JSON.stringify({ version: 1, entries }), { mode: 0o600 });
    await rename(temporary, cachePath);
  } catch {
    // A read-only home must not stop a split.
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}
