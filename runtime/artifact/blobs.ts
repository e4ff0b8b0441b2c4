import { lstat, opendir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Holds } from './holds.ts';

const namePattern = /^[0-9a-f]{64}$/;

export interface Blob {
  readonly sizeBytes: number;
  /** When it was written, or a name of it made or removed; a hard link keeps the time of modification of its source. */
  readonly changedAtMs: number;
  /** The file has another name too, so that its bytes stay when this one goes. */
  readonly isShared: boolean;
}

/** How long a blob must have been left alone to be removed. Unix milliseconds. */
export interface Since {
  /** It was neither written nor linked since then. */
  readonly beforeMs: number;
  /** Nobody asked for it since then. */
  readonly unusedSinceMs: number;
}

/** The files behind the artifacts. */
export interface Blobs {
  /** In no order. */
  hashes(): AsyncIterable<string>;
  look(hash: string): Promise<Blob | undefined>;
  /** @returns undefined: it stays, or is gone already */
  remove(hash: string, since: Since): Promise<Blob | undefined>;
  /** What `remove` would remove. */
  removable(hash: string, since: Since): Promise<Blob | undefined>;
  /** Removes what was announced and never committed in time. @returns how many */
  expireUploads(): Promise<number>;
}

export interface BlobsOptions {
  readonly folder: string;
  readonly holds: Holds;
  readonly expireUploads: () => Promise<number>;
  /** Forgets what the file looked like. */
  readonly forget: (hash: string) => Promise<unknown>;
}

export function createBlobs({ folder, holds, expireUploads, forget }: BlobsOptions): Blobs {
  const pathOf = (hash: string): string => join(folder, hash.slice('sha256:'.length));

  async function look(hash: string): Promise<Blob | undefined> {
    const info = await lstat(pathOf(hash)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return undefined;
    });
    if (!info?.isFile()) return undefined;
    return { sizeBytes: info.size, changedAtMs: info.ctimeMs, isShared: info.nlink > 1 };
  }

  async function old(hash: string, { beforeMs }: Since): Promise<Blob | undefined> {
    const found = await look(hash);
    return found && found.changedAtMs < beforeMs ? found : undefined;
  }

  return {
    async *hashes() {
      for await (const { name } of await opendir(folder)) {
        if (namePattern.test(name)) yield `sha256:${name}`;
      }
    },
    look,
    removable: async (hash, since) =>
      holds.isHeld(hash, since.unusedSinceMs) ? undefined : old(hash, since),
    remove: (hash, since) =>
      holds.removing(hash, since.unusedSinceMs, async () => {
        const found = await old(hash, since);
        if (!found) return undefined;
        await rm(pathOf(hash));
        await forget(hash);
        return found;
      }),
    expireUploads,
  };
}
