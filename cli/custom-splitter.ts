import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import {
  defaultHashCachePath,
  previewSplit,
  type SplitModelOptions,
  type SplitPreview,
  writeSplit,
} from '../runtime/model/index.ts';
import {
  previewSplitWorker,
  type RunWorkerOptions,
  runSplitWorker,
} from '../runtime/split-task/index.ts';
import { AiosError } from '../sdk/errors.ts';
import type { WrittenPlan } from '../sdk/spec/plan.ts';
import type { SplitLayerContext } from '../sdk/split-context.ts';
import { type Bundle, bundle } from './bundle.ts';
import type { Context } from './context.ts';
import { describe } from './describe.ts';

/** @throws {AiosError} NOT_FOUND, BUNDLE_FAILED - it cannot be bundled, or is no splitter */
export async function bundleSplitter(context: Context, file: string): Promise<Bundle> {
  const path = context.path(file);
  context.progress.update(`bundling ${file}`);
  const bundled = await bundle(path, 'block');
  const { type } = await describe(path, bundled);
  context.progress.done();
  if (type === 'splitter') return bundled;
  throw new AiosError(
    'BUNDLE_FAILED',
    `the default export of '${file}' is a ${type ?? 'plain object'}; expected what defineSplitter() gives.`,
    { problems: [{ path, message: 'export default defineSplitter(…)' }] },
  );
}

/** The control plane's registry while one answers; without one, nothing is known. */
function layersOf({ client }: Context): SplitLayerContext {
  async function ask<T>(call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call();
    } catch (thrown) {
      const { code } = AiosError.from(thrown);
      if (code === 'NOT_FOUND' || code === 'CONNECTION_FAILED') return undefined;
      throw thrown;
    }
  }
  return {
    find: (hash) => ask(() => client.layer(hash)),
    register: async (layer) => void (await ask(() => client.registerLayer(layer))),
  };
}

/**
 * Splits here, or, with an author's splitter, in a process of its own whose log goes to standard error.
 *
 * @param splitter - an author's file; undefined: the built-in ones
 * @returns without a splitter of the author's, hashes of large files may be left open
 * @throws {AiosError} as `splitModel`; BUNDLE_FAILED, SPLITTER_FAILED with the author's line, SPLIT_PLAN_INVALID
 */
export async function splitWith(
  context: Context,
  splitter: string | undefined,
  options: SplitModelOptions,
): Promise<WrittenPlan> {
  if (splitter === undefined) return writeSplit(options);
  return inWorker(context, splitter, options, runSplitWorker);
}

/**
 * Says what {@link splitWith} would write, and writes nothing.
 *
 * @throws {AiosError} as `previewSplit`; BUNDLE_FAILED, SPLITTER_FAILED with the author's line, SPLIT_PLAN_INVALID
 */
export async function previewWith(
  context: Context,
  splitter: string | undefined,
  options: Omit<SplitModelOptions, 'outFolder'>,
): Promise<SplitPreview> {
  if (splitter === undefined) return previewSplit(options);
  return inWorker(context, splitter, options, previewSplitWorker);
}

/** @param options - without `outFolder`: one that does not exist, and goes with all that is written below it */
async function inWorker<T>(
  context: Context,
  splitter: string,
  options: Omit<SplitModelOptions, 'outFolder'> & { readonly outFolder?: string },
  run: (options: RunWorkerOptions) => Promise<T>,
): Promise<T> {
  const { splitters: _builtin, plan, signal: _signal, onProgress, ...split } = options;
  const { code } = await bundleSplitter(context, splitter);
  const folder = await mkdtemp(join(tmpdir(), 'aios-splitter-'));
  try {
    const splitterFile = join(folder, `${basename(splitter)}.mjs`);
    await writeFile(splitterFile, code);
    const outFolder = join(folder, 'nowhere');
    return await run({
      ...{ plan, signal: context.signal, layers: layersOf(context) },
      // Where our environment puts it, which the process does not get.
      order: {
        split: { hashCachePath: defaultHashCachePath(), outFolder, ...split },
        splitterFile,
        task: { id: 'local', attempt: 1 },
      },
      onProgress: (progress) => onProgress?.(progress),
      onLog: (line) => context.note(context.style.dim(line)),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
