import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { journalFileName } from './quantize/write-converted.ts';

/** In a folder that is being filled: whose it is, and what is written there. */
const ownerFileName = 'owner.json';
/** Files of ours that are no part of a split. */
export const bookkeepingFiles = [ownerFileName, journalFileName] as const;

const ownerFile = z.object({
  host: z.string(),
  /** 0: nobody's any more, and kept for whoever splits the same again. */
  pid: z.number().int().nonnegative(),
  /** Name of all that is to be written; absent: it is not worth keeping. */
  resumeKey: z.string().optional(),
});
type Owner = z.output<typeof ownerFile>;

/** Left by a machine that cannot be asked, or by a process that had not said who it is. */
const forgottenMs = 24 * 3600 * 1000;

export async function writeOwner(folder: string, resumeKey?: string, pid = process.pid) {
  const owner: Owner = { host: hostname(), pid, ...(resumeKey ? { resumeKey } : {}) };
  await writeFile(join(folder, ownerFileName), JSON.stringify(owner));
}

/**
 * Looks at what splits into `target` left beside it when they were killed. What no process works on any more is
 * removed, but for one folder of the same name as what is to be written: it is moved to `path`. A split that one of them was
 * about to replace is put back.
 *
 * @returns whether there was one
 */
export async function takeLeftovers(
  target: string,
  path: string,
  resumeKey?: string,
): Promise<boolean> {
  const parent = dirname(target);
  const prefix = `.${basename(target)}-`;
  let taken = false;
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix)) continue;
    const folder = join(parent, name);
    const rest = name.slice(prefix.length);
    const [, pid] = /^[0-9a-f]{8}-previous-(\d+)$/.exec(rest) ?? [];
    if (pid !== undefined && !isAlive(Number(pid))) await putBack(folder, target);
    if (!/^[0-9a-f]{8}$/.test(rest)) continue;
    const owner = await readOwner(folder);
    if (!(await isLeft(folder, owner))) continue;
    const isSame = resumeKey !== undefined && owner?.resumeKey === resumeKey;
    if (isSame && !taken) taken = await take(folder, path, resumeKey);
    else await rm(folder, { recursive: true, force: true });
  }
  return taken;
}

/** Where the split that is replaced lies until the new one is in its place. */
export const previousFolder = (staging: string, pid = process.pid) => `${staging}-previous-${pid}`;

/** Of a process that was killed between the two: back to its place, or removed where the new one is there. */
async function putBack(folder: string, target: string): Promise<void> {
  try {
    await rename(folder, target);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(code)) {
      await rm(folder, { recursive: true, force: true });
    } else if (code !== 'ENOENT') throw error;
  }
}

/** Ours before it is moved, so that at no time it looks left behind; of two who want it one finds it gone. */
async function take(folder: string, path: string, resumeKey: string): Promise<boolean> {
  try {
    await writeOwner(folder, resumeKey);
    await rename(folder, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function readOwner(folder: string): Promise<Owner | undefined> {
  try {
    return ownerFile.parse(JSON.parse(await readFile(join(folder, ownerFileName), 'utf8')));
  } catch {
    return undefined;
  }
}

async function isLeft(folder: string, owner: Owner | undefined): Promise<boolean> {
  if (owner?.host === hostname()) return !isAlive(owner.pid);
  const found = await stat(folder).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > forgottenMs;
}

function isAlive(pid: number): boolean {
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Of another user, but alive.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
