import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AiosError } from '../../sdk/errors.ts';
import { contentHash, defaultTenant } from '../../sdk/ids.ts';
import { formatBytes } from '../../sdk/units.ts';
import type { ArtifactStore } from '../control-plane.ts';
import type { Store } from '../store/index.ts';
import { type Blobs, createBlobs } from './blobs.ts';
import { type Fingerprint, fingerprintOf, sameFingerprint } from './fingerprint.ts';
import { hashFile, hashText } from './hash-file.ts';
import { createHolds } from './holds.ts';
import { createIncoming, type IncomingPlace } from './incoming.ts';

export interface ArtifactStoreOptions {
  /** Absolute; blobs lie in `artifacts/sha256/<hex>` below it. */
  readonly dataDirectory: string;
  readonly store: Store;
  /** Largest artifact, in bytes. @default 256 GiB */
  readonly maxArtifactBytes?: number;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

/** With the files behind it, for those who keep them in order. */
export interface StoredArtifacts extends ArtifactStore {
  readonly blobs: Blobs;
}

const corrupt = (message: string, details: Readonly<Record<string, unknown>>): AiosError =>
  new AiosError('ARTIFACT_CORRUPT', message, { details });

const isMissing = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException | null)?.code === 'ENOENT';

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.byteLength; ) {
    const { bytesWritten } = await file.write(chunk, offset);
    offset += bytesWritten;
  }
}

/** Keeps bytes under their hash; what `path` answers has been checked, at the latest when the file changed. */
export async function createArtifactStore(options: ArtifactStoreOptions): Promise<StoredArtifacts> {
  const { dataDirectory, store, maxArtifactBytes = 256 * 2 ** 30, now = Date.now } = options;
  const blobs = join(dataDirectory, 'artifacts', 'sha256');
  await mkdir(blobs, { recursive: true, mode: 0o700 });
  const incoming = await createIncoming(join(dataDirectory, 'incoming'));
  const checks = new Map<string, Promise<string>>();
  const holds = createHolds(now);

  const keyOf = (hash: string) => ({ tenant: defaultTenant, kind: 'artifact', id: hash }) as const;
  const blobPath = (hash: string): string => join(blobs, contentHash(hash).slice('sha256:'.length));

  function assertSize(sizeBytes: number): void {
    if (Number.isSafeInteger(sizeBytes) && sizeBytes >= 0 && sizeBytes <= maxArtifactBytes) return;
    throw new AiosError(
      'REQUEST_TOO_LARGE',
      `An artifact of ${sizeBytes} bytes was announced; between 0 and ${formatBytes(maxArtifactBytes)} are accepted.`,
    );
  }

  /** The blob's path, its content checked again when its file is not the one that was checked before. */
  async function checkBlob(hash: string): Promise<string> {
    const path = blobPath(hash);
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((error) => {
      if (!isMissing(error)) throw error;
      throw new AiosError('NOT_FOUND', `Artifact ${hash} is not stored here. Upload it first.`, {
        details: { hash },
      });
    });
    try {
      const known = (await store.get<Fingerprint>(keyOf(hash)))?.value;
      const found = fingerprintOf(await file.stat({ bigint: true }));
      if (known && sameFingerprint(known, found)) return path;
      const actual = await hashFile(file);
      const after = fingerprintOf(await file.stat({ bigint: true }));
      if (actual !== hash || !sameFingerprint(found, after)) {
        throw corrupt(
          `Artifact ${hash} was changed after it was stored: its bytes now have hash ${actual}. If it was linked from a checkpoint, that file was edited in place. Upload it again.`,
          { hash, actual, path },
        );
      }
      await store.commit([{ ...keyOf(hash), type: 'put', value: found }]);
      return path;
    } finally {
      await file.close();
    }
  }

  function path(hash: string): Promise<string> {
    const running = checks.get(hash);
    if (running !== undefined) return running;
    const check = holds
      .using(contentHash(hash), () => checkBlob(hash))
      .finally(() => checks.delete(hash));
    checks.set(hash, check);
    return check;
  }

  async function has(hash: string): Promise<boolean> {
    try {
      await path(hash);
      return true;
    } catch (error) {
      const { code } = AiosError.from(error);
      // Corrupt counts as absent: whoever has the right bytes uploads them and heals it.
      if (code === 'NOT_FOUND' || code === 'ARTIFACT_CORRUPT') return false;
      throw error;
    }
  }

  /** Moves a checked file to its place and remembers what it looked like. */
  async function keep(hash: string, from: string, fingerprint: Fingerprint) {
    const target = blobPath(hash);
    return holds.using(hash, async () => {
      await rename(from, target);
      await syncFolder(dirname(target));
      await store.commit([{ ...keyOf(hash), type: 'put', value: fingerprint }]);
      return { hash, sizeBytes: fingerprint.sizeBytes };
    });
  }

  async function stored(hash: string): Promise<{ hash: string; sizeBytes: number } | undefined> {
    if (!(await has(hash))) return undefined;
    const info = await lstat(blobPath(hash));
    return { hash, sizeBytes: info.size };
  }

  async function receive(place: IncomingPlace, hash: string, bytes: AsyncIterable<Uint8Array>) {
    const file = await open(place.path, 'wx', 0o600);
    try {
      const digest = createHash('sha256');
      let sizeBytes = 0;
      for await (const chunk of bytes) {
        sizeBytes += chunk.byteLength;
        assertSize(sizeBytes);
        digest.update(chunk);
        await writeAll(file, chunk);
      }
      const actual = hashText(digest);
      if (actual !== hash) {
        throw corrupt(`${sizeBytes} bytes came with hash ${actual}; ${hash} was announced.`, {
          hash,
          actual,
        });
      }
      await file.sync();
      return await keep(hash, place.path, fingerprintOf(await file.stat({ bigint: true })));
    } finally {
      await file.close();
    }
  }

  async function checkLinked(place: IncomingPlace, hash: string) {
    // NONBLOCK: opening a FIFO must not wait for its writer.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const file = await open(place.path, flags).catch((cause) => {
      throw new AiosError(
        'REQUEST_INVALID',
        'No regular file was linked or copied to the path of the ticket. Put it there, then commit.',
        { cause },
      );
    });
    try {
      const info = await file.stat({ bigint: true });
      if (!info.isFile()) {
        throw new AiosError(
          'REQUEST_INVALID',
          'What was put at the path of the ticket is not a regular file.',
        );
      }
      const before = fingerprintOf(info);
      if (before.sizeBytes !== place.sizeBytes) {
        throw corrupt(
          `The linked file has ${before.sizeBytes} bytes; ${place.sizeBytes} were announced.`,
          { hash },
        );
      }
      const actual = await hashFile(file);
      const after = fingerprintOf(await file.stat({ bigint: true }));
      if (actual !== hash) {
        throw corrupt(`The linked file has hash ${actual}; ${hash} was announced.`, {
          hash,
          actual,
        });
      }
      if (!sameFingerprint(before, after)) {
        throw corrupt(
          'The linked file changed while it was being read. Link it again when it is complete.',
          { hash },
        );
      }
      return await keep(hash, place.path, after);
    } finally {
      await file.close();
    }
  }

  return {
    blobs: createBlobs({
      ...{ folder: blobs, holds, expireUploads: incoming.expire },
      forget: (hash) => store.commit([{ ...keyOf(hash), type: 'delete' }]),
    }),
    has: async (hash) => has(contentHash(hash)),
    path: async (hash) => path(contentHash(hash)),
    async write(hash, bytes) {
      const existing = await stored(contentHash(hash));
      if (existing) return existing;
      const place = await incoming.openHeld();
      try {
        return await receive(place, hash, bytes);
      } finally {
        await incoming.discard(place);
      }
    },
    async openLink(sizeBytes) {
      assertSize(sizeBytes);
      const { ticket, path: where } = await incoming.open(sizeBytes);
      return { ticket, path: where };
    },
    async commitLink(ticket, hash) {
      const place = incoming.take(ticket);
      try {
        return (await stored(contentHash(hash))) ?? (await checkLinked(place, hash));
      } finally {
        await incoming.discard(place);
      }
    },
  };
}
