import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createModelFolders } from '../../../runtime/split-task/model-folders.ts';

let top: string;
beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'aios-models-'));
  await mkdir(join(top, 'models/group/big'), { recursive: true });
  await mkdir(join(top, 'models/tiny'));
  await mkdir(join(top, 'secret'));
  await writeFile(join(top, 'secret/config.json'), '{}');
  await writeFile(join(top, 'models/tiny/config.json'), '{}');
  await writeFile(join(top, 'models/group/big/config.json'), '{}');
  await writeFile(join(top, 'models/detector.onnx'), '');
  await mkdir(join(top, 'models/.hidden'));
  await writeFile(join(top, 'models/.hidden/config.json'), '{}');
  await symlink(join(top, 'secret'), join(top, 'models/leads-out'));
  await symlink(join(top, 'models/tiny'), join(top, 'models/stays-in'));
});
afterAll(() => rm(top, { recursive: true, force: true }));

const folders = () => createModelFolders([join(top, 'models')]);

describe('models', () => {
  test('are those below the folders that were named, and nothing that leads out', async () => {
    expect(await folders().list()).toEqual([
      { id: 'detector.onnx', kind: 'onnx' },
      { id: 'group/big', kind: 'folder' },
      { id: 'stays-in', kind: 'folder' },
      { id: 'tiny', kind: 'folder' },
    ]);
  });

  test('are found by id', async () => {
    const { resolve } = folders();

    expect(await resolve('group/big')).toMatch(/models\/group\/big$/);
    expect(await resolve('stays-in')).toMatch(/models\/tiny$/);
  });

  test.each([
    '',
    '.',
    '..',
    '../secret',
    'tiny/../../secret',
    '/etc',
    'leads-out',
    'leads-out/config.json',
    '.hidden',
    'tiny//config.json',
    'group\\big',
    'tiny\0',
    'none',
    'a/b/c/d/e',
  ])('are not %j', async (id) => {
    await expect(folders().resolve(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('are inside, whatever the id', async () => {
    const { resolve } = folders();
    const part = fc.constantFrom(
      '..',
      '.',
      '',
      'tiny',
      'group',
      'big',
      'leads-out',
      '/',
      '~',
      'secret',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 6 }), async (parts) => {
        const found = await resolve(parts.join('/')).catch(() => undefined);
        if (found) expect(found.startsWith(join(top, 'models'))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('are none where none were named', async () => {
    const none = createModelFolders([]);

    expect(await none.list()).toEqual([]);
    await expect(none.resolve('tiny')).rejects.toMatchObject({
      message: expect.stringContaining('aios up --models'),
    });
  });
});
