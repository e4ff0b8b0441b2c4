import { randomUUID } from 'node:crypto';
import { mkdir, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { SplitError } from '../../sdk/errors.ts';
import { makeFolder } from '../make-folder.ts';
import { bookkeepingFiles, previousFolder, takeLeftovers, writeOwner } from './split-leftovers.ts';
import { tokenizerFolder } from './split-tokenizer.ts';

export const planFileName = 'plan.json';

/** A folder that is filled beside its final place, and moved there in one step when it is complete. */
export interface StagingFolder {
  /** Absolute; on the file system of the final place. */
  readonly path: string;
  /**
   * Puts the folder in its place. A previous split there is removed after.
   *
   * @throws {SplitError} ALREADY_EXISTS - something else appeared there meanwhile
   */
  commit(): Promise<void>;
  /** Leaves what is written to the next one of the same name. */
  keep(): Promise<void>;
  /** Removes everything; harmless after {@link commit} and {@link keep}. */
  discard(): Promise<void>;
}

/**
 * Refuses a folder that holds anything but a previous split, so that nobody's files are lost.
 *
 * @throws {SplitError} ALREADY_EXISTS
 */
export async function assertReplaceable(outFolder: string): Promise<void> {
  const found = await stat(outFolder).catch(() => undefined);
  if (!found) return;
  // Gone again between the two looks: another split is replacing it.
  const entries = found.isDirectory()
    ? await readdir(outFolder).catch((error) => (isGone(error) ? [] : Promise.reject(error)))
    : [basename(outFolder)];
  const isOurs = (name: string) =>
    name === planFileName || name === tokenizerFolder || /^shard-\d+$/.test(name);
  const isPreviousSplit = entries.includes(planFileName) && entries.every(isOurs);
  if (found.isDirectory() && (entries.length === 0 || isPreviousSplit)) return;
  const foreign = entries.find((name) => !isOurs(name)) ?? entries[0];
  throw new SplitError(
    'ALREADY_EXISTS',
    `${outFolder} exists and is no previous split (it holds '${foreign}'). Name another folder, or remove it.`,
    { details: { outFolder } },
  );
}

/**
 * What killed splits into the same folder left behind is removed; what one of the same name left is there again.
 *
 * @param outFolder - one that {@link assertReplaceable} accepts
 * @param resumeKey - name of all that will be written; absent: it begins empty, and is not kept
 */
export async function createStagingFolder(
  outFolder: string,
  resumeKey?: string,
): Promise<StagingFolder> {
  const existing = await realpath(outFolder).catch(() => undefined);
  const target = existing ?? resolve(outFolder);
  await makeFolder(dirname(target)).catch(cannotWrite(target));
  const path = join(dirname(target), `.${basename(target)}-${randomUUID().slice(0, 8)}`);
  if (!(await takeLeftovers(target, path, resumeKey))) await mkdir(path).catch(cannotWrite(target));
  await writeOwner(path, resumeKey);
  let kept = false;
  return {
    path,
    async commit() {
      const previous = previousFolder(path);
      for (const name of bookkeepingFiles) await rm(join(path, name), { force: true });
      // Looked at again: something may have appeared there meanwhile.
      await assertReplaceable(target);
      const replaces = await moveAside(target, previous);
      try {
        await rename(path, target);
      } catch (error) {
        const another = isTaken(error);
        // A split that came in between is as whole as this one: only where there is none, the previous one is put back.
        if (replaces && !another) await rename(previous, target);
        throw another ? overtaken(target) : error;
      } finally {
        await rm(previous, { recursive: true, force: true });
      }
    },
    async keep() {
      await writeOwner(path, resumeKey, 0);
      kept = true;
    },
    async discard() {
      if (!kept) await rm(path, { recursive: true, force: true });
    },
  };
}

const cannotWrite = (outFolder: string) => (cause: unknown) => {
  const { code = (cause as Error).message } = cause as NodeJS.ErrnoException;
  throw new SplitError(
    'REQUEST_INVALID',
    `the folder ${outFolder} cannot be written (${code}). Name one in a place that is yours.`,
    { cause, details: { outFolder } },
  );
};

/** @returns whether there was anything */
async function moveAside(target: string, previous: string): Promise<boolean> {
  try {
    await rename(target, previous);
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

const isGone = (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT';
const isTaken = (error: unknown) =>
  ['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '');

const overtaken = (outFolder: string) =>
  new SplitError(
    'ALREADY_EXISTS',
    `another split wrote ${outFolder} at the same time, and stands there now. Split again to replace it, or name another folder.`,
    { details: { outFolder } },
  );
