import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AiosError, SplitError } from '../../sdk/errors.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import type { SplitContext, Splitter } from '../../sdk/splitter.ts';
import { invalidPlan, readPlan } from './from-worker.ts';
import { findFileProblems } from './plan-files.ts';

/** Where an author's code threw, as `file:line:column`; undefined when their code is not in the stack. */
export function placeInBundle(stack: string, bundleFolder: string): string | undefined {
  for (const [, url = '', line, column] of stack.matchAll(
    /(file:\/\/[^\s()]+|\/[^\s():]+):(\d+):(\d+)/g,
  )) {
    const path = relative(bundleFolder, url.startsWith('file:') ? fileURLToPath(url) : url);
    // The bundle holds what the author imports too, this package's own files among it.
    if (/^(?:\.\.|aios-sdk\/|(?:.*\/)?node_modules\/)/.test(path) || path.endsWith('.mjs'))
      continue;
    return `${path}:${line}:${column}`;
  }
  return undefined;
}

/** @throws {SplitError} SPLIT_PLAN_INVALID - it is no plan, or names files that are not there */
async function checkedPlan(
  answer: unknown,
  { name }: Splitter,
  { outFolder }: SplitContext,
): Promise<SplitPlan> {
  const plan = readPlan(answer, name);
  const problems = await findFileProblems(plan, outFolder);
  if (problems.length > 0) throw invalidPlan(name, problems);
  return { ...plan, splitter: name };
}

/**
 * An author's splitter whose faults name the stage and the line, and whose plan is checked.
 *
 * @param onStaging - told where it writes, before it does
 */
export function guardSplitter(
  splitter: Splitter,
  bundleFolder: string | undefined,
  onStaging: (path: string) => void,
): Splitter {
  async function run<T>(stage: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      if (AiosError.isInstance(thrown)) throw thrown;
      const { message, stack = '' } = thrown instanceof Error ? thrown : new Error(String(thrown));
      const place = bundleFolder === undefined ? undefined : placeInBundle(stack, bundleFolder);
      throw new SplitError(
        'SPLITTER_FAILED',
        `splitter '${splitter.name}' failed in ${stage}(): ${message.replace(/\.$/, '')}.`,
        { cause: thrown, problems: place ? [{ path: place, message }] : [] },
      );
    }
  }
  return {
    ...splitter,
    accepts: (model) => run('accepts', () => splitter.accepts(model)),
    begin: (context) => run('begin', () => splitter.begin(context)),
    main(context, begun) {
      onStaging(context.outFolder);
      return run('main', () => splitter.main(context, begun));
    },
    async finish(context, done) {
      const plan = await run('finish', () => splitter.finish(context, done));
      return bundleFolder === undefined ? plan : checkedPlan(plan, splitter, context);
    },
  };
}
