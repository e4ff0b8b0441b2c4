import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AiosError, type Problem, SplitError } from '../../sdk/errors.ts';
import type { HookOutput } from '../../sdk/hooks.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import type { ModelOutline, SplitContext, Splitter } from '../../sdk/splitter.ts';
import { readArchitectures } from './decoder/config.ts';
import { defaultHashCachePath, hashFile } from './hash.ts';
import { checkedCuts } from './split-cuts.ts';
import { assertReplaceable, createStagingFolder, planFileName } from './split-folder.ts';
import { invalidModel } from './split-problems.ts';
import { assertNotCancelled } from './split-shard.ts';

export interface SplitProgress {
  readonly stage: 'begin' | 'main' | 'finish';
  /** 0 to 1, of this stage. */
  readonly fraction: number;
  readonly message: string;
}

export interface OutlineModelOptions {
  readonly modelFolder: string;
  /** Tried in order; the first that accepts the folder is used. */
  readonly splitters: readonly Splitter[];
  /** Sessions whose KV cache each shard holds at once. @default 8 */
  readonly maxSessions?: number;
  /** Longest prompt and answer together. @default what the model was made for */
  readonly contextTokens?: number;
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

export const defaultMaxSessions = 8;

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
  return {
    modelFolder: resolve(options.modelFolder),
    outFolder,
    maxSessions: options.maxSessions ?? defaultMaxSessions,
    ...(contextTokens === undefined ? {} : { contextTokens }),
    ...(shards === undefined ? {} : { shards }),
    cutTensors,
    copy: options.copy ?? false,
    planner,
    plan: async (outline) => checkedCuts(await plan(outline), outline, planner),
    // What was just written is read once, and its place is temporary: it is not worth remembering.
    hashFile: (path, onBytes) =>
      hashFile(path, {
        ...(path.startsWith(outFolder) ? {} : { cachePath: hashCachePath }),
        signal,
        onBytes,
      }),
    signal,
    progress: (fraction, message) => options.onProgress?.({ stage, fraction, message }),
  };
}

/**
 * Splits a model: one folder a shard, with its ONNX graph over linked weights, and `plan.json`.
 *
 * Everything is checked before anything is written, and written beside `outFolder` before it is moved there, so a split
 * that fails or is cancelled leaves what was there.
 *
 * @returns the plan, as written to `plan.json`
 * @throws {SplitError} ARCHITECTURE_UNSUPPORTED, CHECKPOINT_INVALID (with every problem), SPLIT_INFEASIBLE,
 *   SPLIT_PLAN_INVALID, ALREADY_EXISTS, CANCELLED
 */
export async function splitModel(options: SplitModelOptions): Promise<SplitPlan> {
  assertSessions(options.maxSessions);
  const outFolder = resolve(options.outFolder);
  await assertReplaceable(outFolder);
  const splitter = await findSplitter(options);
  if (options.cutTensors?.length && !splitter.cutsTensors) {
    throw new SplitError(
      'REQUEST_INVALID',
      `splitter '${splitter.name}' cuts between layers, not at named tensors. Give a number of shards instead.`,
    );
  }
  const begin = createContext(options, 'begin', outFolder);
  const begun = await splitter.begin(begin);
  assertNotCancelled(begin.signal);

  const staging = await createStagingFolder(outFolder);
  try {
    const done = await splitter.main(createContext(options, 'main', staging.path), begun);
    const plan = await splitter.finish(createContext(options, 'finish', staging.path), done);
    await writeFile(join(staging.path, planFileName), `${JSON.stringify(plan, undefined, 2)}\n`);
    assertNotCancelled(begin.signal);
    await staging.commit();
    return plan;
  } catch (error) {
    throw AiosError.from(error);
  } finally {
    await staging.discard();
  }
}

/**
 * Reads and checks a model as {@link splitModel} does, and writes nothing.
 *
 * @returns its layers and their amounts, for a planner
 * @throws {SplitError} ARCHITECTURE_UNSUPPORTED, CHECKPOINT_INVALID
 */
export async function outlineModel(options: OutlineModelOptions): Promise<ModelOutline> {
  assertSessions(options.maxSessions);
  const splitter = await findSplitter(options);
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
