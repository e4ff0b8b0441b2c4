import { constants } from 'node:fs';
import { copyFile, link, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { SplitError } from '../../sdk/errors.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import type { ArtifactStore } from '../control-plane.ts';

interface PlannedFile {
  readonly path: string;
  readonly hash: string;
  readonly sizeBytes: number;
}

/** Every file that the documents name, once. Names were checked to be plain when the plan was read. */
function filesOf(folder: string, plan: SplitPlan): readonly PlannedFile[] {
  const files = new Map<string, PlannedFile>();
  for (const { stage, graph } of plan.components) {
    const part = stage ?? graph;
    const shard = plan.shards.find(({ index }) => index === part?.index)?.folder ?? '';
    for (const { name, hash, sizeBytes } of part?.files ?? []) {
      files.set(hash, { path: join(folder, shard, name), hash, sizeBytes });
    }
  }
  for (const { name, hash, sizeBytes } of plan.vdag.generation?.files ?? []) {
    files.set(hash, { path: join(folder, 'tokenizer', name), hash, sizeBytes });
  }
  return [...files.values()];
}

/** Links a file into the store's own folder, or copies it from another file system. */
async function place(from: string, to: string): Promise<void> {
  const source = await realpath(from);
  await link(source, to).catch(async (error: NodeJS.ErrnoException) => {
    if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP'].includes(error.code ?? '')) throw error;
    await copyFile(source, to, constants.COPYFILE_FICLONE);
  });
}

/**
 * Keeps every file of a split as an artifact: linked where that can be, and its hash checked.
 *
 * @throws {AiosError} ARTIFACT_CORRUPT - a file is not what the plan says; CANCELLED
 */
export async function keepArtifacts(
  artifacts: Pick<ArtifactStore, 'has' | 'openLink' | 'commitLink'>,
  folder: string,
  plan: SplitPlan,
  { signal, onBytes }: { signal: AbortSignal; onBytes: (done: number, total: number) => void },
): Promise<void> {
  const files = filesOf(folder, plan);
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  for (const { path, hash, sizeBytes } of files) {
    if (signal.aborted) throw new SplitError('CANCELLED', 'the split was cancelled.');
    if (!(await artifacts.has(hash))) {
      const { ticket, path: to } = await artifacts.openLink(sizeBytes);
      try {
        await place(path, to);
      } catch (fault) {
        // Nothing lies there to be kept: this removes the ticket's place, and what it says would hide the fault.
        await artifacts.commitLink(ticket, hash).catch(() => undefined);
        throw fault;
      }
      await artifacts.commitLink(ticket, hash);
    }
    doneBytes += sizeBytes;
    onBytes(doneBytes, totalBytes);
  }
}
