import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SplitError } from '../../sdk/errors.ts';
import type { ContentHash } from '../../sdk/ids.ts';
import type { ArtifactFile } from '../../sdk/spec/common.ts';
import { openHash, type PendingHashes } from '../../sdk/spec/plan.ts';
import type { SplitContext } from '../../sdk/splitter.ts';
import type { CheckpointFile, CheckpointTensor } from './checkpoint.ts';
import { hashBytes } from './hash.ts';
import { shardFolder } from './split-plan.ts';
import type { WrittenShard } from './split-shard.ts';

/** @param path - absolute; hashed once, however often it is asked for */
type ArtifactHasher = (path: string, name: string) => Promise<ArtifactFile>;

/** What a shard is known by. */
interface IdentifiedShard {
  readonly stageHash: ContentHash;
  readonly files: readonly ArtifactFile[];
}

export interface ShardToIdentify extends WrittenShard {
  /** Each once, in the order of use. Absent: they were converted, and are known by their own content. */
  readonly tensors?: readonly CheckpointTensor[];
}

/**
 * Gives shards their identity: the hash of the graph over the checkpoint's files, and for each tensor its file's content
 * hash and range. The same whether weights were linked or copied. Linked files are not read: where there are no others,
 * hashes are left open.
 */
export async function identifyShards(
  context: Pick<SplitContext, 'hashFile' | 'progress' | 'outFolder'>,
  shards: readonly ShardToIdentify[],
): Promise<{ readonly shards: readonly IdentifiedShard[]; readonly pending?: PendingHashes }> {
  const sources = shards.flatMap(({ files }) => files.flatMap(({ source }) => source ?? []));
  const isOpen = sources.length > 0 && shards.every(isLinked);
  const pathOf = (index: number, { name, source }: WrittenShard['files'][number]) =>
    source?.path ?? join(context.outFolder, shardFolder(index), name);
  const read = shards.flatMap(({ files, tensors = [] }, index) =>
    isOpen
      ? []
      : [...files.map((file) => pathOf(index, file)), ...tensors.map(({ file }) => file.path)],
  );
  const hash = await createArtifactHasher(context, read);
  const identified: IdentifiedShard[] = [];
  for (const [index, shard] of shards.entries()) {
    const files: ArtifactFile[] = [];
    for (const file of shard.files) {
      const { name, source } = file;
      if (isOpen && source) files.push({ name, hash: openHash, sizeBytes: source.sizeBytes });
      else files.push(await hash(pathOf(index, file), name));
    }
    identified.push({ stageHash: isOpen ? openHash : await stageHash(shard, files, hash), files });
  }
  return { shards: identified, ...(isOpen ? { pending: pendingOf(shards, sources) } : {}) };
}

/** What holds none of the checkpoint's bytes but by link. */
const isLinked = ({ tensors, files }: ShardToIdentify) =>
  tensors !== undefined && (tensors.length === 0 || files.some(({ source }) => source));

function pendingOf(
  shards: readonly ShardToIdentify[],
  sources: readonly CheckpointFile[],
): PendingHashes {
  const files = [...new Set(sources)];
  const places = new Map(files.map((file, index) => [file, index]));
  return {
    files: files.map(({ name, sizeBytes, modifiedNs }) => ({ name, sizeBytes, modifiedNs })),
    tensors: shards.map(({ tensors = [] }) =>
      tensors.map((tensor) => identityLine(tensor, places.get(tensor.file))),
    ),
  };
}

const identityLine = (
  { name, offsetBytes, lengthBytes }: CheckpointTensor,
  file: ContentHash | number | undefined,
) => `${name} ${file} ${offsetBytes} ${lengthBytes}`;

/** @param lines - of each tensor, its name, its file's hash, its offset and its length */
export const identityOf = (graph: Uint8Array, lines: readonly string[]): ContentHash =>
  hashBytes(graph, lines.join('\n'));

/** Hashes the files of a split, with progress over all of them. */
async function createArtifactHasher(
  { hashFile, progress }: Pick<SplitContext, 'hashFile' | 'progress'>,
  paths: readonly string[],
): Promise<ArtifactHasher> {
  const known = new Map<string, Promise<{ hash: ContentHash; sizeBytes: number }>>();
  let totalBytes = 0;
  let doneBytes = 0;
  for (const path of new Set(paths)) totalBytes += (await stat(path)).size;

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

async function stageHash(
  { identityGraph, tensors }: ShardToIdentify,
  files: readonly ArtifactFile[],
  hash: ArtifactHasher,
): Promise<ContentHash> {
  // What was converted is known by its own content; the checkpoint need not be read again.
  if (!tensors)
    return identityOf(
      identityGraph,
      files.map((file) => file.hash),
    );
  const lines: string[] = [];
  for (const tensor of tensors) {
    const { file } = tensor;
    const { hash: fileHash, sizeBytes } = await hash(file.path, file.name);
    if (sizeBytes !== file.sizeBytes) {
      throw new SplitError(
        'CHECKPOINT_INVALID',
        `${file.path} changed from ${file.sizeBytes} to ${sizeBytes} bytes during the split. Split again.`,
      );
    }
    lines.push(identityLine(tensor, fileHash));
  }
  return identityOf(identityGraph, lines);
}
