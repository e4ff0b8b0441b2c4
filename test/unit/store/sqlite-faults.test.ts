import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSqliteStore } from '../../../runtime/store/index.ts';
import { openDatabase } from '../../../runtime/store/sqlite-database.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aios-store-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function filled(path: string): Promise<Buffer> {
  const store = createSqliteStore(path);
  for (let n = 0; n < 100; n += 1) {
    const value = 'x'.repeat(200);
    await store.commit([{ tenant: 'default', kind: 'block', id: `b${n}`, type: 'put', value }]);
  }
  await store.close();
  return readFileSync(path);
}

const opening = (path: string): unknown => {
  try {
    createSqliteStore(path);
    return 'opened';
  } catch (error) {
    return error;
  }
};

test('a second opener is told which process holds the directory', async () => {
  const path = join(folder, 'aios.db');
  const store = createSqliteStore(path);

  expect(opening(path)).toMatchObject({ code: 'STORE_LOCKED', details: { pid: process.pid } });

  await store.close();
  await createSqliteStore(path).close();
});

test('a lock whose process is gone is taken over', async () => {
  const path = join(folder, 'aios.db');
  writeFileSync(`${path}.pid`, '{"pid":999999999}');
  writeFileSync(`${path}.lock`, '');

  await createSqliteStore(path).close();
});

test.each([
  ['a page overwritten', (bytes: Buffer) => bytes.fill(7, 4096, 8192)],
  ['the end cut off', (bytes: Buffer) => bytes.subarray(0, 9000)],
  ['another kind of file', () => Buffer.from('not a database, only text. '.repeat(200))],
])('a database with %s is corrupt, and is left as it is', async (_name, damage) => {
  const path = join(folder, 'aios.db');
  const damaged = Buffer.from(damage(await filled(path)));
  const copy = join(folder, 'damaged', 'aios.db');
  mkdirSync(join(folder, 'damaged'));
  writeFileSync(copy, damaged);

  expect(opening(copy)).toMatchObject({ code: 'STORE_CORRUPT', details: { path: copy } });
  expect(readFileSync(copy).equals(damaged)).toBe(true);
});

test('a data directory that is a file, or below one, is unavailable', () => {
  writeFileSync(join(folder, 'file'), '');

  expect(opening(join(folder, 'file', 'aios.db'))).toMatchObject({
    code: 'STORE_UNAVAILABLE',
    details: { path: join(folder, 'file') },
  });
  expect(opening(join(folder, 'file', 'below', 'aios.db'))).toMatchObject({
    code: 'STORE_UNAVAILABLE',
  });
});

test('a database of something else, or of a later version, is not touched', () => {
  const foreign = openDatabase(join(folder, 'foreign.db'));
  foreign.exec('CREATE TABLE customers (name TEXT)');
  foreign.close();
  const later = openDatabase(join(folder, 'later.db'));
  later.exec(
    "CREATE TABLE meta (name TEXT, value INTEGER); INSERT INTO meta VALUES ('schema-version', 99)",
  );
  later.close();

  expect(opening(join(folder, 'foreign.db'))).toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(opening(join(folder, 'later.db'))).toMatchObject({ code: 'STORE_UNAVAILABLE' });
});

test('nobody else can read what is stored, also in a directory that others may enter', async () => {
  chmodSync(folder, 0o755);
  const store = createSqliteStore(join(folder, 'aios.db'));
  await store.commit([
    { tenant: 'default', kind: 'instance', id: 'i', type: 'put', value: { secret: 's' } },
  ]);

  const modes = readdirSync(folder)
    .filter((name) => !name.endsWith('.pid'))
    .map((name) => [name, statSync(join(folder, name)).mode & 0o077]);
  await store.close();

  expect(modes.length).toBeGreaterThanOrEqual(3);
  expect(modes.filter(([, others]) => others !== 0)).toEqual([]);
});
