import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const codeOf = (error: unknown): unknown => (error as NodeJS.ErrnoException).code;

/**
 * Makes a folder and those it lies in, where they are missing. A step at a time: Node 20's own `recursive` never returns
 * below a folder that says ENOENT to whatever is made in it, as /proc does.
 *
 * @param path - absolute
 */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const parent = dirname(path);
    if (codeOf(error) === 'EEXIST') {
      if (!(await stat(path)).isDirectory()) throw new Error('it is a file', { cause: error });
      return;
    }
    if (codeOf(error) !== 'ENOENT' || parent === path) throw error;
    if (await stat(parent).catch(() => undefined)) {
      throw new Error(`nothing can be made in '${parent}'`, { cause: error });
    }
    await makeFolder(parent, mode);
    await mkdir(path, { mode }).catch((late) => {
      if (codeOf(late) !== 'EEXIST') throw late;
    });
  }
}
