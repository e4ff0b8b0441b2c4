import { lstat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AiosError, type Problem, SplitError } from '../../sdk/errors.ts';
import { type SplitPlan, splitPlan } from '../../sdk/spec/plan.ts';
import type { SplitContext, Splitter } from '../../sdk/splitter.ts';

const maxProblems = 50;

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

/** Files that the documents name, and where a split folder holds them. */
function plannedFiles(plan: SplitPlan, outFolder: string) {
  const shards = plan.components.flatMap(({ stage, graph }, index) => {
    const part = stage ?? graph;
    const folder = plan.shards.find((shard) => shard.index === part?.index)?.folder ?? '';
    return (part?.files ?? []).map((file, n) => ({
      ...{ file, path: join(outFolder, folder, file.name) },
      at: `$.components[${index}].${stage ? 'stage' : 'graph'}.files[${n}]`,
    }));
  });
  const tokenizer = (plan.vdag.generation?.files ?? []).map((file, n) => ({
    ...{ file, path: join(outFolder, 'tokenizer', file.name) },
    at: `$.vdag.generation.files[${n}]`,
  }));
  return [...shards, ...tokenizer];
}

async function findFileProblems(plan: SplitPlan, outFolder: string): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  for (const { file, path, at } of plannedFiles(plan, outFolder)) {
    const found = await lstat(path).catch(() => undefined);
    const seen = found?.isFile() ? `${found.size} bytes` : found ? 'no plain file' : 'nothing';
    if (found?.isFile() && found.size === file.sizeBytes) continue;
    const expected = `a file of ${file.sizeBytes} bytes at ${relative(outFolder, path)}`;
    problems.push({ path: at, message: 'names a file that was not written so', expected, seen });
    if (problems.length >= maxProblems) break;
  }
  return problems;
}

/** @throws {SplitError} SPLIT_PLAN_INVALID - it is no plan, or names files that are not there */
async function checkedPlan(
  answer: unknown,
  { name }: Splitter,
  { outFolder }: SplitContext,
): Promise<SplitPlan> {
  const read = splitPlan.safeParse(answer);
  const problems: readonly Problem[] = read.success
    ? await findFileProblems(read.data, outFolder)
    : read.error.issues.slice(0, maxProblems).map(({ path, message }) => ({
        path: ['$', ...path.map(String)].join('.'),
        message,
      }));
  if (read.success && problems.length === 0) return { ...read.data, splitter: name };
  throw new SplitError(
    'SPLIT_PLAN_INVALID',
    `splitter '${name}' gave no plan that can be used: ${problems[0]?.path} ${problems[0]?.message}. Make it with context.tools.createSplitPlan or createGraphPlan.`,
    { problems },
  );
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
