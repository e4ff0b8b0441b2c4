import { constants, createReadStream } from 'node:fs';
import { copyFile, link, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AiosError, type Problem } from '../sdk/errors.ts';
import type { SplitPlan, WrittenPlan } from '../sdk/spec/plan.ts';
import { formatBytes } from '../sdk/units.ts';
import type { Context } from './context.ts';
import { renderBar } from './progress.ts';

/** Hashes what the split left open. @throws {SplitError} SPLIT_PLAN_INVALID, CANCELLED */
export async function completeHere(
  context: Context,
  folder: string,
  plan: WrittenPlan,
): Promise<SplitPlan> {
  if (!plan.pending) return plan;
  const { completePlan } = await import('../runtime/model/index.ts');
  const { progress, signal } = context;
  try {
    return await completePlan(folder, plan, {
      signal,
      onProgress: (fraction, message) => progress.update(`${renderBar(fraction)}  ${message}`),
    });
  } finally {
    progress.done();
  }
}

/** A file the plan's documents name by hash, and where it lies. */
interface PlanFile {
  readonly path: string;
  readonly name: string;
  readonly hash: string;
  readonly sizeBytes: number;
}

/** Every file of the plan, once. Stages' files lie in their shard's folder, the tokenizer's in one of its own. */
export function planFiles(folder: string, plan: SplitPlan): PlanFile[] {
  const files = new Map<string, PlanFile>();
  const add = (place: string, file: { name: string; hash: string; sizeBytes: number }): void => {
    if (!files.has(file.hash)) files.set(file.hash, { ...file, path: join(place, file.name) });
  };
  for (const { stage, graph } of plan.components) {
    const part = stage ?? graph;
    const shard = plan.shards.find(({ index }) => index === part?.index);
    for (const file of part?.files ?? []) add(join(folder, shard?.folder ?? ''), file);
  }
  for (const file of plan.vdag.generation?.files ?? []) add(join(folder, 'tokenizer'), file);
  return [...files.values()];
}

async function checkFiles(folder: string, files: readonly PlanFile[]): Promise<void> {
  const problems: Problem[] = [];
  for (const { path, sizeBytes } of files) {
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile()) {
      problems.push({ path, message: 'the file is missing', expected: formatBytes(sizeBytes) });
    } else if (found.size !== sizeBytes) {
      problems.push({
        path,
        message: 'the file has another size than when the model was split',
        expected: `${sizeBytes} bytes`,
        seen: `${found.size} bytes`,
      });
    }
  }
  if (problems.length === 0) return;
  throw new AiosError(
    'SPLIT_PLAN_INVALID',
    `'${folder}' does not hold what its plan.json names; split the model again.`,
    { problems },
  );
}

const isLoopback = (url: string): boolean =>
  /^(127(\.\d+){3}|localhost|\[::1\])$/.test(new URL(url).hostname);

/** Puts the file into the server's own folder: a hard link, or a copy from another file system. */
async function linkFile(context: Context, { path, hash, sizeBytes }: PlanFile): Promise<void> {
  const { ticket, path: place } = await context.client.openLink(sizeBytes);
  // A link to a symbolic link would be one too, and the server opens none.
  const source = await realpath(path);
  try {
    await link(source, place);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP'].includes(code)) throw error;
    await copyFile(source, place, constants.COPYFILE_FICLONE);
  }
  await context.client.commitLink(ticket, hash);
}

async function* counted(path: string, onBytes: (count: number) => void) {
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) {
    const bytes: Uint8Array = chunk;
    onBytes(bytes.byteLength);
    yield bytes;
  }
}

/** Whether server and client do not share their files after all (a tunnel, another user): then the bytes travel. */
const mustSend = (error: unknown): boolean =>
  !AiosError.isInstance(error) || ['FORBIDDEN', 'UNSUPPORTED', 'NOT_FOUND'].includes(error.code);

/** The server knows a file by its hash alone. */
function ofFile({ name }: PlanFile, cause: unknown): unknown {
  if (!AiosError.isInstance(cause) || cause.code !== 'ARTIFACT_CORRUPT') return cause;
  const { code, message, details } = cause;
  return new AiosError(
    code,
    `'${name}' is not the file that the plan was made with, so split again: ${message}`,
    { cause, details: { ...details, file: name } },
  );
}

/**
 * Brings every artifact the server lacks to it: linked when it runs on this machine, sent otherwise.
 *
 * @throws {AiosError} SPLIT_PLAN_INVALID - a file is missing or has another size; ARTIFACT_CORRUPT - other content
 */
export async function uploadPlanFiles(
  context: Context,
  folder: string,
  plan: SplitPlan,
): Promise<void> {
  const { client, progress, signal } = context;
  const files = planFiles(folder, plan);
  await checkFiles(folder, files);

  const missing: PlanFile[] = [];
  for (const file of files) if (!(await client.hasArtifact(file.hash))) missing.push(file);

  const totalBytes = missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  const show = (name: string): void => {
    const amount = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
    progress.update(
      `${renderBar(totalBytes > 0 ? doneBytes / totalBytes : 1)}  ${amount}  ${name}`,
    );
  };

  let local = isLoopback(client.url);
  for (const file of missing) {
    signal.throwIfAborted();
    show(file.name);
    if (local) {
      try {
        await linkFile(context, file);
        doneBytes += file.sizeBytes;
        continue;
      } catch (error) {
        if (!mustSend(error)) throw ofFile(file, error);
        local = false;
      }
    }
    const bytes = counted(file.path, (count) => {
      doneBytes += count;
      show(file.name);
    });
    await client.uploadArtifact(file.hash, bytes, { signal }).catch((error) => {
      throw ofFile(file, error);
    });
  }
  progress.done();
}
