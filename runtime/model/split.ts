import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AiosError, type Problem, SplitError } from '../../sdk/errors.ts';
import type { HookOutput } from '../../sdk/hooks.ts';
import type { PendingHashes, SplitPlan, WeightDtype, WrittenPlan } from '../../sdk/spec/plan.ts';
import type { ModelOutline, SplitContext, Splitter } from '../../sdk/splitter.ts';
import { fillHashes, planText } from './complete-plan.ts';
import { readArchitectures } from './decoder/config.ts';
import { defaultHashCachePath, hashFile } from './hash.ts';
import { rememberNodes } from './preferred-nodes.ts';
import { blockSizes } from './quantize/weight-form.ts';
import { checkedCuts } from './split-cuts.ts';
import { createSplitExtras, type SplitExtrasOptions } from './split-extras.ts';
import { assertReplaceable, createStagingFolder, planFileName } from './split-folder.ts';
import { type Asked, previewOf, type SplitPreview } from './split-preview.ts';
import { invalidModel } from './split-problems.ts';
import { assertNotCancelled } from './split-shard.ts';
import { splitters as builtins } from './splitters/index.ts';

export interface SplitProgress {
  readonly stage: 'begin' | 'main' | 'finish';
  /** 0 to 1, of this stage. */
  readonly fraction: number;
  readonly message: string;
}

export interface OutlineModelOptions extends Pick<SplitExtrasOptions, 'task' | 'layers'> {
  readonly modelFolder: string;
  /** Tried in order; the first that accepts the folder is used. */
  readonly splitters: readonly Splitter[];
  /** Sessions whose KV cache each shard holds at once. @default 8 */
  readonly maxSessions?: number;
  /** Longest prompt and answer together. @default what the model was made for */
  readonly contextTokens?: number;
  /** What weights are converted to. @default used as they lie in the checkpoint */
  readonly dtype?: WeightDtype;
  /** Numbers that share a scale, of `int8` and `int4`: 16, 32, 64, 128 or 256. @default 32 */
  readonly blockSize?: number;
  readonly signal?: AbortSignal;
}

export interface SplitModelOptions extends OutlineModelOptions {
  /** How many the user asked for. Absent: the planner says. */
  readonly shards?: number;
  /** Tensors at which an ONNX graph is cut, one a cut. @default where the splitter finds best */
  readonly cutTensors?: readonly string[];
  /** Created, or replaced when it holds a previous split. */
  readonly outFolder: string;
  /** Asks the planner for the index of each shard's first layer. */
  readonly plan: (outline: ModelOutline) => Promise<HookOutput<'splitPlanner', 'plan'>>;
  /** URI of the planner, written into the plan. @default 'custom' */
  readonly planner?: string;
  /** Copy each shard's weights instead of linking the checkpoint's files. @default false */
  readonly copy?: boolean;
  readonly onProgress?: (progress: SplitProgress) => void;
  /** Where content hashes are kept. @default `aios/hashes.json` in the user's cache folder */
  readonly hashCachePath?: string;
}

export interface WriteSplitOptions extends SplitModelOptions {
  /** Linked files that are hashed all the same, if they are no more than that in all. @default 128 MiB */
  readonly readAtMostBytes?: number;
}

export const defaultMaxSessions = 8;
/** A tenth of a second. */
const defaultReadBytes = 128 * 2 ** 20;
const maxOpenTensors = 50_000;

/** @throws {SplitError} ARCHITECTURE_UNSUPPORTED - no splitter takes the folder; CHECKPOINT_INVALID - it is no model's */
async function findSplitter({ modelFolder, splitters }: OutlineModelOptions): Promise<Splitter> {
  for (const splitter of splitters) if (await splitter.accepts(modelFolder)) return splitter;
  const problems: Problem[] = [];
  const architectures = await readArchitectures(modelFolder, problems);
  if (problems.length > 0) throw invalidModel(modelFolder, problems);
  const known = splitters.map(({ name, description }) => `  ${name}: ${description}`).join('\n');
  throw new SplitError(
    'ARCHITECTURE_UNSUPPORTED',
    `${modelFolder}: architecture ${architectures.join(', ')} is not supported. Splitters:\n${known}`,
    { details: { architectures } },
  );
}

function createContext(
  options: Partial<SplitModelOptions> & OutlineModelOptions,
  stage: SplitProgress['stage'],
  outFolder: string,
): SplitContext {
  const {
    plan = async () => ({ firstLayers: [0] }),
    planner = 'custom',
    signal = new AbortController().signal,
    hashCachePath = defaultHashCachePath(),
    contextTokens,
    shards,
    cutTensors = [],
  } = options;
  const modelFolder = resolve(options.modelFolder);
  const maxSessions = options.maxSessions ?? defaultMaxSessions;
  const hashOnce: SplitContext['hashFile'] = (path, onBytes) =>
    hashFile(path, { cachePath: hashCachePath, signal, ...(onBytes ? { onBytes } : {}) });
  return {
    ...createSplitExtras({
      ...{ modelFolder, maxSessions, planner, hashFile: hashOnce, builtins },
      outline: () => outlineModel({ ...options, splitters: builtins }),
      ...(options.task ? { task: options.task } : {}),
      ...(options.layers ? { layers: options.layers } : {}),
    }),
    modelFolder,
    outFolder,
    maxSessions,
    ...(contextTokens === undefined ? {} : { contextTokens }),
    ...(shards === undefined ? {} : { shards }),
    ...(options.dtype ? { dtype: options.dtype } : {}),
    ...(options.blockSize === undefined ? {} : { blockSize: options.blockSize }),
    cutTensors,
    copy: options.copy ?? false,
    planner,
    plan: async (outline) => checkedCuts(await plan(outline), outline, planner),
    hashFile: hashOnce,
    signal,
    progress: (fraction, message) => options.onProgress?.({ stage, fraction, message }),
  };
}

/**
 * Splits a model: one folder a shard, with its ONNX graph over linked weights, and `plan.json`.
 *
 * Everything is checked before anything is written, and written beside `outFolder` before it is moved there, so a split
 * that fails or is cancelled leaves what was there. One that converts weights and is killed or cancelled goes on where it
 * was when it is started again with the same arguments: what was written is checked by hash.
 *
 * @returns the plan, as written to `plan.json`
 * @throws {SplitError} ARCHITECTURE_UNSUPPORTED, CHECKPOINT_INVALID (with every problem), SPLIT_INFEASIBLE,
 *   SPLIT_PLAN_INVALID, ALREADY_EXISTS, CANCELLED
 */
export const splitModel = (options: SplitModelOptions): Promise<SplitPlan> =>
  split(options, fillHashes);

/**
 * Splits as {@link splitModel} does, but leaves the hashes of large linked files open: it takes about a second, whatever
 * the model's size. `completePlan` fills them in.
 */
export const writeSplit = ({
  readAtMostBytes = defaultReadBytes,
  ...options
}: WriteSplitOptions): Promise<WrittenPlan> =>
  split<WrittenPlan>(options, async (folder, plan, context) =>
    plan.pending && !isCheap(plan.pending, readAtMostBytes)
      ? plan
      : fillHashes(folder, plan, context),
  );

function isCheap({ files, tensors }: PendingHashes, readAtMostBytes: number): boolean {
  // Documents of more values than that are not read.
  if (tensors.flat().length > maxOpenTensors) return true;
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) <= readAtMostBytes;
}

async function split<P extends WrittenPlan>(
  options: SplitModelOptions,
  settle: (folder: string, plan: WrittenPlan, context: SplitContext) => Promise<P>,
): Promise<P> {
  const outFolder = resolve(options.outFolder);
  await assertReplaceable(outFolder);
  const splitter = await chooseSplitter(options);
  const meant = rememberNodes(options.plan, options.planner ?? 'custom');
  const begin = createContext({ ...options, plan: meant.ask }, 'begin', outFolder);
  const begun = await splitter.begin(begin);
  assertNotCancelled(begin.signal);

  const resumeKey = splitter.resumeKey?.(begin, begun);
  const staging = await createStagingFolder(outFolder, resumeKey);
  try {
    const done = await splitter.main(createContext(options, 'main', staging.path), begun);
    const finish = createContext(options, 'finish', staging.path);
    const finished = meant.apply(await splitter.finish(finish, done));
    const plan = await settle(staging.path, finished, finish);
    await writeFile(join(staging.path, planFileName), planText(plan));
    assertNotCancelled(begin.signal);
    await staging.commit();
    return plan;
  } catch (error) {
    const fault = AiosError.from(error);
    if (fault.code !== 'CANCELLED' || resumeKey === undefined) throw fault;
    await staging.keep();
    throw new SplitError(
      'CANCELLED',
      `the split was cancelled. What was converted is kept in ${staging.path}: the same split goes on from there, any other into ${outFolder} removes it.`,
    );
  } finally {
    await staging.discard();
  }
}

/**
 * Reads, checks and plans as {@link splitModel} does, and writes nothing.
 *
 * @throws {SplitError} ARCHITECTURE_UNSUPPORTED, CHECKPOINT_INVALID, SPLIT_INFEASIBLE, SPLIT_PLAN_INVALID, UNSUPPORTED
 */
export async function previewSplit({
  outFolder = '',
  ...options
}: Omit<SplitModelOptions, 'outFolder'> & { outFolder?: string }): Promise<SplitPreview> {
  const splitter = await chooseSplitter(options);
  const context = createContext(options, 'begin', outFolder);
  let asked: Asked | undefined;
  const begun = await splitter.begin({
    ...context,
    async plan(outline) {
      const firstLayers = await context.plan(outline);
      asked = { outline, firstLayers };
      return firstLayers;
    },
  });
  return previewOf(splitter, begun, asked, () => context.model.outline());
}

/** The splitter of the folder, if it can do what is asked. */
async function chooseSplitter(
  options: Partial<SplitModelOptions> & OutlineModelOptions,
): Promise<Splitter> {
  const { maxSessions, blockSize, dtype, cutTensors } = options;
  assertSessions(maxSessions);
  if (blockSize !== undefined && !blockSizes.some((size) => size === blockSize)) {
    throw new SplitError(
      'REQUEST_INVALID',
      `a block has ${blockSizes.join(', ')} numbers; got ${blockSize}.`,
    );
  }
  const splitter = await findSplitter(options);
  if (cutTensors?.length && !splitter.cutsTensors) {
    throw new SplitError(
      'REQUEST_INVALID',
      `splitter '${splitter.name}' cuts between layers, not at named tensors. Give a number of shards instead.`,
    );
  }
  if (dtype && !splitter.convertsWeights) {
    throw new SplitError(
      'REQUEST_INVALID',
      `splitter '${splitter.name}' uses weights as they lie, and cannot convert them to ${dtype}. Leave the dtype out.`,
    );
  }
  return splitter;
}

/**
 * Reads and checks a model as {@link splitModel} does, and writes nothing.
 *
 * @returns its layers and their amounts, for a planner
 * @throws {SplitError} ARCHITECTURE_UNSUPPORTED, CHECKPOINT_INVALID
 */
export async function outlineModel(options: OutlineModelOptions): Promise<ModelOutline> {
  const splitter = await chooseSplitter(options);
  let seen: ModelOutline | undefined;
  const plan = async (outline: ModelOutline) => {
    seen = outline;
    return { firstLayers: [0] };
  };
  await splitter.begin(createContext({ ...options, plan }, 'begin', ''));
  if (!seen) throw new SplitError('INTERNAL', `splitter '${splitter.name}' gave no outline.`);
  return seen;
}

function assertSessions(maxSessions = defaultMaxSessions): void {
  if (Number.isInteger(maxSessions) && maxSessions >= 1 && maxSessions <= 4096) return;
  throw new SplitError(
    'REQUEST_INVALID',
    `maxSessions must be an integer from 1 to 4096; got ${maxSessions}.`,
  );
}
