import { fork } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { entryPath } from '../runtime/entry.ts';
import { AiosError, type Problem } from '../sdk/errors.ts';
import type { Bundle } from './bundle.ts';

/** What the default export of an author's file turned out to be. */
export type Described =
  | { readonly type: 'definition'; readonly definition: Record<string, unknown> }
  | { readonly type: 'nothing'; readonly exports: readonly string[] }
  | {
      readonly type: 'failure';
      readonly message: string;
      readonly stack: string;
      /** Of a `define…` that was given something wrong. */
      readonly problems: readonly Problem[];
    };

const timeLimitMs = 20_000;

function runDescriber(bundleFile: string): Promise<Described> {
  return new Promise((resolve, reject) => {
    const child = fork(entryPath('cli/describe-bundle.js'), [bundleFile], {
      // What an author prints at import is no result of ours.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: ['--enable-source-maps'],
      timeout: timeLimitMs,
      killSignal: 'SIGKILL',
    });
    let described: Described | undefined;
    child.once('message', (message) => {
      described = message as Described;
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (described) resolve(described);
      else if (signal) reject(new Error(`importing it took longer than ${timeLimitMs / 1000} s`));
      else reject(new Error(`importing it ended the process with code ${code}`));
    });
  });
}

/** The first place of a stack that lies in the author's files, as `file:line:column`. */
function placeOf(stack: string, folder: string, file: string): string {
  for (const [, url = '', line, column] of stack.matchAll(
    /(file:\/\/[^\s()]+|\/[^\s():]+):(\d+):(\d+)/g,
  )) {
    const path = url.startsWith('file:') ? fileURLToPath(url) : url;
    const inside = relative(folder, path);
    // The bundle holds what the author imports too, this package's own files among it.
    const foreign = /^(?:\.\.|aios-sdk\/|(?:.*\/)?node_modules\/)/.test(inside);
    if (!foreign && !inside.endsWith('.mjs')) {
      return `${join(dirname(file), inside)}:${line}:${column}`;
    }
  }
  return file;
}

/**
 * Imports a bundle in a process of its own and reads its default export: a `define…` result, its zod schemas turned into
 * JSON Schemas and its functions dropped.
 *
 * @throws {AiosError} BUNDLE_FAILED - the import threw, never ended, or there is no default export
 */
export async function describe(file: string, { code }: Bundle): Promise<Record<string, unknown>> {
  const folder = await mkdtemp(join(tmpdir(), 'aios-bundle-'));
  const name = basename(file);
  const failed = (
    what: string,
    problems: readonly Problem[] = [{ path: file, message: what }],
    cause?: unknown,
  ): AiosError =>
    new AiosError('BUNDLE_FAILED', `'${name}' cannot be used: ${what.replace(/\.$/, '')}.`, {
      problems,
      cause,
    });
  try {
    const bundleFile = join(folder, `${name}.mjs`);
    await writeFile(bundleFile, code);
    const described = await runDescriber(bundleFile).catch((error: Error) => {
      throw failed(error.message, undefined, error);
    });
    if (described.type === 'definition') return described.definition;
    if (described.type === 'nothing') {
      const seen = described.exports.length > 0 ? described.exports.join(', ') : 'nothing';
      throw failed(`its default export must be the result of a define…(); it exports ${seen}`);
    }
    const { message, stack, problems } = described;
    const place = placeOf(stack, folder, file);
    throw failed(
      message,
      problems.length > 0
        ? problems.map((problem) => ({ ...problem, path: `${place} ${problem.path}` }))
        : [{ path: place, message }],
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
