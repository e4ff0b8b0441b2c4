import { mkdir, open, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SplitError } from '../../../sdk/errors.ts';
import type { SplitContext } from '../../../sdk/splitter.ts';
import { formatBytes } from '../../../sdk/units.ts';
import { shardFolder } from '../split-plan.ts';
import { graphFileName, weightsFileName } from '../split-shard.ts';
import type { ConvertJob } from './convert-job.ts';
import { jobsOf } from './convert-job.ts';
import { convertChunks } from './convert-pool.ts';
import { openJournal } from './journal.ts';
import { createPace } from './pace.ts';
import type { WeightLayout } from './weight-layout.ts';

/** In the folder that is filled; it is no part of the split. */
export const journalFileName = 'journal.jsonl';

export interface ConvertedStage {
  readonly layout: WeightLayout;
  readonly graph: Uint8Array;
}

/**
 * Writes stages whose weights are another type than the checkpoint's: each its graph, and one file of weights. Chunks
 * that an earlier run left in the same folder are kept where their digest holds.
 *
 * @throws {SplitError} CHECKPOINT_INVALID - a number has no place in the type; SPLIT_INFEASIBLE - the disk is too small
 */
export async function writeConverted(
  context: Pick<SplitContext, 'outFolder' | 'signal' | 'progress'>,
  stages: readonly ConvertedStage[],
): Promise<void> {
  const { outFolder, signal, progress } = context;
  await assertRoom(outFolder, stages);
  const paths: string[] = [];
  for (const [shard, { layout, graph }] of stages.entries()) {
    const folder = join(outFolder, shardFolder(shard));
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, graphFileName), graph);
    paths.push(join(folder, weightsFileName));
    const file = await open(paths[shard] ?? '', 'a');
    await file.truncate(layout.fileBytes);
    await file.close();
  }

  const journal = await openJournal(join(outFolder, journalFileName));
  const totalBytes = stages.reduce((sum, { layout }) => sum + sourceBytes(layout), 0);
  const pace = createPace(totalBytes);
  try {
    await convertChunks({
      jobs: allJobs(stages, paths, journal.digests),
      totalBytes,
      signal,
      async onChunk(chunk, { shard, source }) {
        if (!chunk.kept) await journal.add(chunk);
        pace.add(source.lengthBytes, chunk.kept);
        const doing = chunk.kept ? 'checking what was written' : 'converting the weights';
        progress(pace.fraction, `${pace.say()}: ${doing} of shard ${shard}`);
      },
    });
  } finally {
    await journal.close();
  }
}

function* allJobs(
  stages: readonly ConvertedStage[],
  paths: readonly string[],
  digests: ReadonlyMap<string, string>,
): Generator<ConvertJob> {
  for (const [shard, { layout }] of stages.entries()) {
    for (const tensor of layout.tensors) {
      for (const job of jobsOf(shard, tensor, paths[shard] ?? '')) {
        const digest = digests.get(job.id);
        yield digest === undefined ? job : { ...job, digest };
      }
    }
  }
}

const sourceBytes = ({ tensors }: WeightLayout) =>
  tensors.reduce((sum, { source }) => sum + source.lengthBytes, 0);

/** Said before an hour of work, not after. */
async function assertRoom(folder: string, stages: readonly ConvertedStage[]): Promise<void> {
  const neededBytes = stages.reduce((sum, { layout }) => sum + layout.fileBytes, 0);
  const { bavail, bsize } = await statfs(folder);
  let heldBytes = 0;
  for (const [shard] of stages.entries()) {
    const path = join(folder, shardFolder(shard), weightsFileName);
    const file = await open(path, 'r').catch(() => undefined);
    if (!file) continue;
    heldBytes += (await file.stat()).blocks * 512;
    await file.close();
  }
  const freeBytes = bavail * bsize + heldBytes;
  if (freeBytes >= neededBytes) return;
  throw new SplitError(
    'SPLIT_INFEASIBLE',
    `the shards need ${formatBytes(neededBytes)} and the disk has ${formatBytes(freeBytes)} free. ` +
      'Free some, name a folder on another disk, or choose a smaller --dtype.',
    { details: { neededBytes, freeBytes } },
  );
}
