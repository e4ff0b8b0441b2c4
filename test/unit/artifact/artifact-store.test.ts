import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createArtifactStore } from '../../../runtime/artifact/index.ts';
import type { ArtifactStore } from '../../../runtime/control-plane.ts';
import { createMemoryStore, type Store } from '../../../runtime/store/index.ts';

const hashOf = (bytes: string | Buffer): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
async function* chunks(...parts: string[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

let folder: string;
let store: Store;
let artifacts: ArtifactStore;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'aios-artifact-'));
  store = createMemoryStore();
  artifacts = await createArtifactStore({ dataDirectory: folder, store });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const incoming = (): string[] => readdirSync(join(folder, 'incoming'));

test('bytes are kept under their hash', async () => {
  const hash = hashOf('hello world');
  expect(await artifacts.has(hash)).toBe(false);

  expect(await artifacts.write(hash, chunks('hello ', 'world'))).toEqual({ hash, sizeBytes: 11 });

  expect(await artifacts.has(hash)).toBe(true);
  expect(readFileSync(await artifacts.path(hash), 'utf8')).toBe('hello world');
  expect(incoming()).toEqual([]);
});

test('bytes with another hash are refused and leave nothing behind', async () => {
  await expect(artifacts.write(hashOf('a'), chunks('b'))).rejects.toMatchObject({
    code: 'ARTIFACT_CORRUPT',
    details: { actual: hashOf('b') },
  });

  expect(await artifacts.has(hashOf('a'))).toBe(false);
  expect(incoming()).toEqual([]);
});

test('an upload that breaks off leaves nothing behind', async () => {
  async function* breaking(): AsyncIterable<Uint8Array> {
    yield Buffer.from('half');
    throw new Error('connection lost');
  }

  await expect(artifacts.write(hashOf('whole'), breaking())).rejects.toThrow('connection lost');

  expect(incoming()).toEqual([]);
});

test('an upload over the limit is refused before it fills the disk', async () => {
  const small = await createArtifactStore({ dataDirectory: folder, store, maxArtifactBytes: 4 });

  await expect(small.write(hashOf('12345'), chunks('123', '45'))).rejects.toMatchObject({
    code: 'REQUEST_TOO_LARGE',
  });
  await expect(small.openLink(5)).rejects.toMatchObject({ code: 'REQUEST_TOO_LARGE' });
});

test.each(['sha256:..%2f', '../../etc/passwd', 'sha256:AB', ''])('%j is no hash', async (text) => {
  await expect(artifacts.path(text)).rejects.toMatchObject({ code: 'URI_MALFORMED' });
  await expect(artifacts.write(text, chunks(''))).rejects.toMatchObject({ code: 'URI_MALFORMED' });
});

test('an unknown hash is not found', async () => {
  await expect(artifacts.path(hashOf('nothing'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a file linked by a client on this machine becomes an artifact without a copy', async () => {
  const original = join(folder, 'model.safetensors');
  writeFileSync(original, 'weights');
  const { ticket, path } = await artifacts.openLink(7);
  expect(path.startsWith(folder)).toBe(true);
  linkSync(original, path);

  await artifacts.commitLink(ticket, hashOf('weights'));

  expect(readFileSync(await artifacts.path(hashOf('weights')), 'utf8')).toBe('weights');
  expect(incoming()).toEqual([]);
});

test('a linked file with another hash or size is refused', async () => {
  const wrongHash = await artifacts.openLink(1);
  writeFileSync(wrongHash.path, 'b');
  const wrongSize = await artifacts.openLink(5);
  writeFileSync(wrongSize.path, 'a');

  await expect(artifacts.commitLink(wrongHash.ticket, hashOf('a'))).rejects.toMatchObject({
    code: 'ARTIFACT_CORRUPT',
  });
  await expect(artifacts.commitLink(wrongSize.ticket, hashOf('a'))).rejects.toMatchObject({
    code: 'ARTIFACT_CORRUPT',
  });
  expect(await artifacts.has(hashOf('a'))).toBe(false);
});

test('symbolic links, folders and missing files are refused', async () => {
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'secret');
  const viaSymlink = await artifacts.openLink(6);
  symlinkSync(secret, viaSymlink.path);
  const viaFolder = await artifacts.openLink(6);
  mkdirSync(viaFolder.path);
  const nothing = await artifacts.openLink(6);

  for (const { ticket } of [viaSymlink, viaFolder, nothing]) {
    await expect(artifacts.commitLink(ticket, hashOf('secret'))).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
  }
});

test('a ticket works once, and only a ticket works', async () => {
  const { ticket, path } = await artifacts.openLink(1);
  writeFileSync(path, 'a');
  await artifacts.commitLink(ticket, hashOf('a'));

  for (const text of [ticket, '..', 'f'.repeat(32)]) {
    await expect(artifacts.commitLink(text, hashOf('a'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  }
});

test('an in-place edit of a linked checkpoint is noticed, and uploading again heals it', async () => {
  const original = join(folder, 'model.safetensors');
  writeFileSync(original, 'weights');
  const { ticket, path } = await artifacts.openLink(7);
  linkSync(original, path);
  await artifacts.commitLink(ticket, hashOf('weights'));

  appendFileSync(original, ' and more');

  await expect(artifacts.path(hashOf('weights'))).rejects.toMatchObject({
    code: 'ARTIFACT_CORRUPT',
  });
  expect(await artifacts.has(hashOf('weights'))).toBe(false);
  await artifacts.write(hashOf('weights'), chunks('weights'));
  expect(readFileSync(await artifacts.path(hashOf('weights')), 'utf8')).toBe('weights');
  expect(readFileSync(original, 'utf8')).toBe('weights and more');
});

test('a touched file is hashed again and found unchanged', async () => {
  await artifacts.write(hashOf('same'), chunks('same'));
  const path = await artifacts.path(hashOf('same'));

  utimesSync(path, 1, 1);

  expect(await artifacts.path(hashOf('same'))).toBe(path);
});

test('blobs survive a restart, leftovers of unfinished uploads do not', async () => {
  await artifacts.write(hashOf('kept'), chunks('kept'));
  const { path } = await artifacts.openLink(4);
  writeFileSync(path, 'left');

  const again = await createArtifactStore({ dataDirectory: folder, store });

  expect(await again.has(hashOf('kept'))).toBe(true);
  expect(existsSync(path)).toBe(false);
});

test('the same bytes written twice at once are kept once', async () => {
  const hash = hashOf('twice');

  await Promise.all([
    artifacts.write(hash, chunks('twice')),
    artifacts.write(hash, chunks('tw', 'ice')),
  ]);

  expect(await artifacts.has(hash)).toBe(true);
  expect(readdirSync(join(folder, 'artifacts', 'sha256'))).toHaveLength(1);
});
