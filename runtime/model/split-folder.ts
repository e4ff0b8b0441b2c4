import { randomUUID } from 'node:crypto';
import { mkdir, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { SplitError } from '../../sdk/errors.ts';
import { tokenizerFolder } from './split-tokenizer.ts';

export const planFileName = 'plan.json';

/** A folder that is filled beside its final place, and moved there in one step when it is complete. */
export interface StagingFolder {
  /** Absolute; on the file system of the final place. */
  readonly path: string;
  /** Puts the folder in its place. A previous split there is removed after. */
  commit(): Promise<void>;
  /** Removes everything; harmless after {@link commit}. */
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
  const entries = found.isDirectory() ? await readdir(outFolder) : [basename(outFolder)];
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

/** @param outFolder - one that {@link assertReplaceable} accepts */
export async function createStagingFolder(outFolder: string): Promise<StagingFolder> {
  const existing = await realpath(outFolder).catch(() => undefined);
  const target = existing ?? resolve(outFolder);
  await mkdir(dirname(target), { recursive: true });
  const path = join(dirname(target), `.${basename(target)}-${randomUUID().slice(0, 8)}`);
  await mkdir(path);
  return {
    path,
    async commit() {
      const previous = `${path}-previous`;
      // Looked at again: something may have appeared there meanwhile.
      await assertReplaceable(target);
      if (existing) await rename(target, previous);
      try {
        await rename(path, target);
      } catch (error) {
        if (existing) await rename(previous, target);
        throw error;
      }
      if (existing) await rm(previous, { recursive: true, force: true });
    },
    async discard() {
      await rm(path, { recursive: true, force: true });
    },
  };
}
