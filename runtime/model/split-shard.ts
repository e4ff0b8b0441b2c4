import { type FileHandle, link, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SplitError } from '../../sdk/errors.ts';
import type { CheckpointFile, CheckpointTensor } from './checkpoint.ts';
import type { ExternalData } from './onnx/model.ts';

export const graphFileName = 'stage.onnx';
/** Weights that are no other file's: copied or converted. */
export const weightsFileName = 'weights.bin';
const copyChunkBytes = 4 * 2 ** 20;
/** So that a copied tensor starts on a cache line. */
const alignmentBytes = 64;

/** Faults that mean «no hard link here»: another file system, one without links, or not allowed. */
const noLinkCodes = new Set([
  'EXDEV',
  'EPERM',
  'EACCES',
  'EMLINK',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
]);

export interface ShardWeights {
  /** Each tensor once, in the order of use. */
  readonly tensors: readonly CheckpointTensor[];
  readonly encodeGraph: (place: (tensor: CheckpointTensor) => ExternalData) => Uint8Array;
}

export interface WrittenShard {
  /** The graph over the checkpoint's own files, also when ranges were copied: what identity is computed from. */
  readonly identityGraph: Uint8Array;
  /** Names in the folder; `source` is the checkpoint's file that a name links to. */
  readonly files: readonly { readonly name: string; readonly source?: CheckpointFile }[];
  /** Why ranges were copied, when linking was tried and failed. */
  readonly linkFault?: string;
}

export interface WriteShardOptions {
  /** Absolute; created. */
  readonly folder: string;
  readonly copy: boolean;
  readonly signal: AbortSignal;
  /** Called with the bytes copied since the last call. */
  readonly onBytes: (bytes: number) => void;
}

/**
 * Writes one stage: its graph, and beside it its weights, since ONNX Runtime reads no others. Hard links cost nothing;
 * where there are none, the shard's own ranges are copied.
 */
export async function writeShard(
  { tensors, encodeGraph }: ShardWeights,
  { folder, copy, signal, onBytes }: WriteShardOptions,
): Promise<WrittenShard> {
  await mkdir(folder);
  const graphPath = join(folder, graphFileName);
  const identityGraph = encodeGraph(({ file, offsetBytes, lengthBytes }) => ({
    location: file.name,
    offsetBytes,
    lengthBytes,
  }));

  const sources = [...new Set(tensors.map(({ file }) => file))];
  const linkFault = copy ? undefined : await linkAll(folder, sources);
  if (!copy && !linkFault) {
    await writeFile(graphPath, identityGraph);
    const links = sources.map((source) => ({ name: source.name, source }));
    return { identityGraph, files: [{ name: graphFileName }, ...links] };
  }

  const places = placeCopies(tensors);
  await copyRanges(join(folder, weightsFileName), places, signal, onBytes);
  await writeFile(
    graphPath,
    encodeGraph((tensor) => ({
      location: weightsFileName,
      offsetBytes: places.get(tensor) ?? 0,
      lengthBytes: tensor.lengthBytes,
    })),
  );
  return {
    identityGraph,
    files: [{ name: graphFileName }, { name: weightsFileName }],
    ...(linkFault ? { linkFault } : {}),
  };
}

/** @returns why it is not possible, or undefined when all are linked */
async function linkAll(
  folder: string,
  sources: readonly CheckpointFile[],
): Promise<string | undefined> {
  const made: string[] = [];
  for (const source of sources) {
    try {
      const path = join(folder, source.name);
      await link(source.path, path);
      made.push(path);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (!code || !noLinkCodes.has(code)) throw error;
      await Promise.all(made.map((path) => rm(path)));
      return message;
    }
  }
  return undefined;
}

/** Tensor → offset in the copy. */
function placeCopies(tensors: readonly CheckpointTensor[]): Map<CheckpointTensor, number> {
  const places = new Map<CheckpointTensor, number>();
  let end = 0;
  for (const tensor of tensors) {
    places.set(tensor, end);
    end = Math.ceil((end + tensor.lengthBytes) / alignmentBytes) * alignmentBytes;
  }
  return places;
}

async function copyRanges(
  path: string,
  places: ReadonlyMap<CheckpointTensor, number>,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(copyChunkBytes);
  const target = await open(path, 'wx');
  try {
    for (const [tensor, offset] of places) {
      const source = await open(tensor.file.path, 'r');
      try {
        for (let done = 0; done < tensor.lengthBytes; ) {
          assertNotCancelled(signal);
          const wanted = Math.min(buffer.length, tensor.lengthBytes - done);
          const { bytesRead } = await source.read(buffer, 0, wanted, tensor.offsetBytes + done);
          if (bytesRead === 0) throw shrunk(tensor);
          await writeFully(target, buffer.subarray(0, bytesRead), offset + done);
          done += bytesRead;
          onBytes(bytesRead);
        }
      } finally {
        await source.close();
      }
    }
  } finally {
    await target.close();
  }
}

/** A nearly full disk takes a part and says so; what is left is then refused with the reason. */
async function writeFully(target: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await target.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function shrunk({ name, file }: CheckpointTensor): SplitError {
  return new SplitError(
    'CHECKPOINT_INVALID',
    `${file.path} became shorter while tensor '${name}' was copied from it. Fetch the file again.`,
  );
}

/** @throws {SplitError} CANCELLED */
export function assertNotCancelled(signal: AbortSignal): void {
  if (signal.aborted)
    throw new SplitError('CANCELLED', 'the split was cancelled; nothing was kept.');
}
