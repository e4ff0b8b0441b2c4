import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readApiKeys } from '../../../cli/api-keys.ts';
import { createContext } from '../../../cli/context.ts';
import { prepareDataDirectory } from '../../../cli/data-directory.ts';
import { errorCodes } from '../../../sdk/errors.ts';
import { aios, fakeIo } from './harness.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-up-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function keysOf(text: string | undefined, env: Record<string, string> = {}) {
  const file = join(folder, 'keys');
  if (text !== undefined) await writeFile(file, text);
  const { context, close } = createContext({}, fakeIo({ env }));
  try {
    return await readApiKeys(context, text === undefined ? undefined : file);
  } finally {
    close();
  }
}

describe('keys of a file', () => {
  it('are its lines without comments and blank ones, then the one of the environment', async () => {
    const text = '\uFEFF# who may come\r\n\r\nfirst-key\r\n  # old\n\tsecond-key \n';

    expect(await keysOf(text, { AIOS_API_KEY: ' third ' })).toEqual([
      'first-key',
      'second-key',
      'third',
    ]);
  });

  it.each([
    ['nothing', ''],
    ['a blank line', '\n'],
    ['blanks', ' \t\r\n  \n'],
    ['comments alone', '# key\n#key\n'],
  ])('with %s in it are an error, though the environment has one', async (_name, text) => {
    await expect(keysOf(text, { AIOS_API_KEY: 'own' })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('holds no key'),
    });
  });

  it('that nobody can send are named by their line and not told', async () => {
    const error = await keysOf('# a\nfine\nsecret word\n').catch((fault: unknown) => fault);

    expect(error).toMatchObject({ code: 'REQUEST_INVALID' });
    expect(String(error)).toContain('line 3');
    expect(String(error)).not.toContain('secret');
  });

  it('are none where no file is named', async () => {
    expect(await keysOf(undefined)).toEqual([]);
    expect(await keysOf(undefined, { AIOS_API_KEY: '' })).toEqual([]);
  });

  it('keep a control plane from starting', async () => {
    const data = join(folder, 'never');

    const { code, out, err } = await aios(
      ['up', '--port', '0', '--api-key-file', '-', '--data-dir', data],
      { input: '\n' },
    );

    expect(code).toBe(errorCodes.REQUEST_INVALID.exit);
    expect(err).toContain('standard input holds no key');
    expect(out).toBe('');
    await expect(stat(data)).rejects.toThrow('ENOENT');
  });
});

describe('a data directory', () => {
  it('is made with all above it, for its owner alone, and holds nothing', async () => {
    const path = join(folder, 'a', 'b', 'c');

    await Promise.all([prepareDataDirectory(path), prepareDataDirectory(path)]);

    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, 'a'))).mode & 0o777).toBe(0o700);
    expect(await readdir(path)).toEqual([]);
  });

  it('may be there, also behind a link', async () => {
    await mkdir(join(folder, 'real'));
    await symlink('real', join(folder, 'link'));

    await prepareDataDirectory(join(folder, 'link'));
  });

  it.each([
    ['a file', 'file'],
    ['below a file', 'file/data'],
    ['a link to nothing', 'nowhere'],
    ['below a link to nothing', 'nowhere/data'],
  ])('that is %s is refused', async (_name, path) => {
    await writeFile(join(folder, 'file'), '');
    await symlink('missing', join(folder, 'nowhere')).catch(() => {});

    await expect(prepareDataDirectory(join(folder, path))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringContaining('--data-dir'),
    });
  });

  it.runIf(process.platform === 'linux').each(['/proc', '/proc/nope', '/proc/nope/deeper'])(
    'that the system makes nothing in is refused: %s',
    async (path) => {
      const { code, err } = await aios(['up', '--port', '0', '--data-dir', path]);

      expect(code).toBe(errorCodes.STORE_UNAVAILABLE.exit);
      expect(err).toContain(`'${path}' cannot be used`);
    },
  );
});
