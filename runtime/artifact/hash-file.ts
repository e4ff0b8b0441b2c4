import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { type ContentHash, contentHash } from '../../sdk/ids.ts';

export const hashText = (hash: Hash): ContentHash => contentHash(`sha256:${hash.digest('hex')}`);

/** Streams the file in 1 MiB pieces, so that other work gets its turn between them. */
export async function hashFile(file: FileHandle): Promise<ContentHash> {
  const hash = createHash('sha256');
  const stream = file.createReadStream({ start: 0, autoClose: false, highWaterMark: 2 ** 20 });
  for await (const chunk of stream) hash.update(chunk as Buffer);
  return hashText(hash);
}
