import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Problem, SplitError } from '../../sdk/errors.ts';
import type { ContentHash } from '../../sdk/ids.ts';
import type { GraphSpec, StageSpec } from '../../sdk/spec/component.ts';
import {
  type OpenPlan,
  openHash,
  type SplitPlan,
  splitPlan,
  type WrittenPlan,
} from '../../sdk/spec/plan.ts';
import type { SplitContext } from '../../sdk/splitter.ts';
import { defaultHashCachePath, hashBytes, hashFile } from './hash.ts';
import { shardBlockId, shardComponent, vdagNames } from './plan-names.ts';
import { createPace } from './quantize/pace.ts';
import { planFileName } from './split-folder.ts';
import { identityOf } from './split-identity.ts';

export interface CompletePlanOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (fraction: number, message: string) => void;
  /** Where content hashes are kept. @default `aios/hashes.json` in the user's cache folder */
  readonly hashCachePath?: string;
}

/**
 * Hashes the weights of a split that were not read when it was made, and writes the complete `plan.json`.
 *
 * @param folder - the split's
 * @throws {SplitError} SPLIT_PLAN_INVALID - a file is missing, or was written to after the split; CANCELLED
 */
export async function completePlan(
  folder: string,
  plan: WrittenPlan,
  options: CompletePlanOptions = {},
): Promise<SplitPlan> {
  if (!plan.pending) return plan;
  const {
    signal = new AbortController().signal,
    onProgress = () => undefined,
    hashCachePath = defaultHashCachePath(),
  } = options;
  const complete = await fillHashes(folder, plan, {
    hashFile: (path, onBytes) =>
      hashFile(path, { cachePath: hashCachePath, signal, ...(onBytes ? { onBytes } : {}) }),
    progress: onProgress,
  });
  await replacePlan(folder, complete);
  return complete;
}

/** The plan with every hash in its place, and the names that come of them. */
export async function fillHashes(
  folder: string,
  plan: WrittenPlan,
  context: Pick<SplitContext, 'hashFile' | 'progress'>,
): Promise<SplitPlan> {
  if (!plan.pending) return plan;
  const { pending, ...documents } = plan;
  const hashes = await hashPending(folder, plan, context);
  const hashOf = new Map(pending.files.map(({ name }, index) => [name, hashes[index]]));
  const completed = async <T extends StageSpec | GraphSpec>(part: T, index: number): Promise<T> => {
    const files = part.files.map((file) => {
      if (file.hash !== openHash) return file;
      return { ...file, hash: hashOf.get(file.name) ?? unlisted(folder, file.name) };
    });
    const graph = await readGraph(join(folder, folderOf(plan, part)), part);
    const lines = (pending.tensors[index] ?? []).map((line) =>
      line.replace(/\d+(?= \d+ \d+$)/, (file) => hashes[Number(file)] ?? unlisted(folder, file)),
    );
    return { ...part, stageHash: identityOf(graph, lines), files };
  };
  const components: ReturnType<typeof shardComponent>[] = [];
  for (const [index, { name, stage, graph }] of plan.components.entries()) {
    if (stage) components.push(shardComponent(name, { stage: await completed(stage, index) }));
    else if (graph) components.push(shardComponent(name, { graph: await completed(graph, index) }));
    else throw invalid(folder, [{ path: `$.components[${index}]`, message: 'is no shard' }]);
  }
  const ids = components.map(shardBlockId);
  const { vdag } = plan;
  return splitPlan.parse({
    ...documents,
    components,
    blocks: plan.blocks.map((block, index) => ({
      ...block,
      id: ids[index] ?? block.id,
      componentUri: components[index]?.uri ?? block.componentUri,
    })),
    vdag: {
      ...vdag,
      ...vdagNames(vdag.name, components, vdag.generation),
      nodes: vdag.nodes.map((node, index) => ({ ...node, blockId: ids[index] ?? node.blockId })),
    },
  });
}

const folderOf = (plan: OpenPlan, { index }: StageSpec | GraphSpec): string =>
  plan.shards.find((shard) => shard.index === index)?.folder ?? '';

/** Each linked file once, however many shards link to it. */
async function hashPending(
  folder: string,
  plan: OpenPlan,
  { hashFile, progress }: Pick<SplitContext, 'hashFile' | 'progress'>,
): Promise<readonly ContentHash[]> {
  const { files } = plan.pending;
  const problems: Problem[] = [];
  const places: string[] = [];
  for (const { name, sizeBytes, modifiedNs } of files) {
    const holders = plan.components.flatMap(({ stage, graph }) => stage ?? graph ?? []);
    const linked = holders
      .filter((part) => part.files.some((one) => one.name === name && one.hash === openHash))
      .map((part) => join(folder, folderOf(plan, part), name));
    for (const path of linked) {
      const found = await stat(path, { bigint: true }).catch(() => undefined);
      if (!found?.isFile()) problems.push({ path, message: 'the file is missing' });
      else if (Number(found.size) !== sizeBytes) {
        const message = 'the file has another size than when the model was split';
        const [expected, seen] = [`${sizeBytes} bytes`, `${found.size} bytes`];
        problems.push({ path, message, expected, seen });
      } else if (`${found.mtimeNs}` !== modifiedNs) {
        problems.push({ path, message: 'the file was written to after the model was split' });
      }
    }
    places.push(linked[0] ?? join(folder, name));
  }
  if (problems.length > 0) throw invalid(folder, problems);

  const pace = createPace(files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const hashes: ContentHash[] = [];
  for (const [index, path] of places.entries()) {
    const onBytes = (bytes: number, known: boolean) => {
      pace.add(bytes, known);
      progress(pace.fraction, `hashing ${files[index]?.name}: ${pace.say()}`);
    };
    hashes.push(await hashFile(path, onBytes));
  }
  return hashes;
}

/** @throws {SplitError} SPLIT_PLAN_INVALID - it is not the one that was written */
async function readGraph(folder: string, part: StageSpec | GraphSpec): Promise<Uint8Array> {
  const file = part.files.find(({ name }) => name === part.graph);
  const path = join(folder, file?.name ?? '');
  const bytes = await readFile(path).catch(() => undefined);
  if (bytes && hashBytes(bytes) === file?.hash) return bytes;
  throw invalid(folder, [
    { path, message: bytes ? 'the graph was edited' : 'the file is missing' },
  ]);
}

function unlisted(folder: string, file: string): never {
  throw invalid(folder, [{ path: '$.pending.files', message: `does not list file ${file}` }]);
}

const invalid = (folder: string, problems: readonly Problem[]) =>
  new SplitError(
    'SPLIT_PLAN_INVALID',
    `'${folder}' does not hold what its plan.json names; split the model again, with --copy where it is to be moved.`,
    { problems },
  );

/** A folder that cannot be written to keeps its plan open: its files are hashed again, or found in the cache. */
async function replacePlan(folder: string, plan: SplitPlan): Promise<void> {
  const temporary = join(folder, plan.shards[0]?.folder ?? '', `${planFileName}.${randomUUID()}`);
  try {
    await writeFile(temporary, planText(plan));
    await rename(temporary, join(folder, planFileName));
  } catch {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}

export const planText = (plan: WrittenPlan) => `${JSON.stringify(plan, undefined, 2)}\n`;
