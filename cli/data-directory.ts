import { mkdtemp, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../runtime/make-folder.ts';
import { StoreError } from '../sdk/errors.ts';

const mode = 0o700;

/**
 * Makes the data directory where it is missing.
 *
 * @param path - absolute
 * @throws {StoreError} STORE_UNAVAILABLE - it cannot be made, or nothing can be made in it
 */
export async function prepareDataDirectory(path: string): Promise<void> {
  try {
    await makeFolder(path, mode);
    // Tried, not asked: permissions say nothing of file systems that make no files, nor to root.
    await rmdir(await mkdtemp(join(path, '.probe-')));
  } catch (cause) {
    throw new StoreError(
      'STORE_UNAVAILABLE',
      `the data directory '${path}' cannot be used: ${(cause as Error).message}. Choose another with --data-dir.`,
      { cause },
    );
  }
}
