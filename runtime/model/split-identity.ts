import { stat } from 'node:fs/promises';
import { SplitError } from '../../sdk/errors.ts';
import type { ContentHash } from '../../sdk/ids.ts';
import type { ArtifactFile } from '../../sdk/spec/common.ts';
import type { SplitContext } from '../../sdk/splitter.ts';
import type { CheckpointTensor } from './checkpoint.ts';
import { hashBytes } from './hash.ts';

/** @param path - absolute; hashed once, however often it is asked for */
export type ArtifactHasher = (path: string, name: string) => Promise<ArtifactFile>;

/** Hashes the files of a split, with progress over all of them. */
export function createArtifactHasher(
  { hashFile, progress }: Pick<SplitContext, 'hashFile' | 'progress'>,
  totalBytes: number,
): ArtifactHasher {
  const known = new Map<string, Promise<{ hash: ContentHash; sizeBytes: number }>>();
  let doneBytes = 0;

  async function read(path: string, name: string) {
    const hash = await hashFile(path, (bytes) => {
      doneBytes += bytes;
      progress(Math.min(1, doneBytes / Math.max(1, totalBytes)), `hashing ${name}`);
    });
    return { hash, sizeBytes: (await stat(path)).size };
  }

  return async (path, name) => {
    const reading = known.get(path) ?? read(path, name);
    known.set(path, reading);
    return { name, ...(await reading) };
  };
}

/**
 * Identity of a shard: its graph over the checkpoint's files, and for each tensor its file's content hash and range. The
 * same whether weights were linked or copied.
 */
export async function stageHash(
  graph: Uint8Array,
  tensors: readonly CheckpointTensor[],
  hash: ArtifactHasher,
): Promise<ContentHash> {
  const lines: string[] = [];
  for (const { name, file, offsetBytes, lengthBytes } of tensors) {
    const { hash: fileHash, sizeBytes } = await hash(file.path, file.name);
    if (sizeBytes !== file.sizeBytes) {
      throw new SplitError(
        'CHECKPOINT_INVALID',
        `${file.path} changed from ${file.sizeBytes} to ${sizeBytes} bytes during the split. Split again.`,
      );
    }
    lines.push(`${name} ${fileHash} ${offsetBytes} ${lengthBytes}`);
  }
  return hashBytes(graph, lines.join('\n'));
}
