import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildFailure, BuildOptions, Message, Plugin } from 'esbuild';
import { AiosError, type Problem } from '../sdk/errors.ts';

/** An author's code, ready to be uploaded. */
export interface Bundle {
  /** ESM, with its source map inside. */
  readonly code: Uint8Array;
  /** `sha256:…` of `code`. */
  readonly hash: string;
}

const fromSources = import.meta.url.endsWith('.ts');
const packageRoot = fileURLToPath(new URL(fromSources ? '..' : '../..', import.meta.url));

/**
 * `aios-sdk` and `zod` mean this package's own copies wherever the author's file lies: a file of its own needs no
 * `node_modules`, and schemas are never of two versions of zod. Dependencies' imports are left as they are.
 */
const ownPackages: Plugin = {
  name: 'own-packages',
  setup(build) {
    build.onResolve({ filter: /^(aios-sdk|zod)($|\/)/ }, ({ path, importer, kind, pluginData }) => {
      if (pluginData === ownPackages || importer.includes('/node_modules/')) return undefined;
      return build.resolve(path, { kind, resolveDir: packageRoot, pluginData: ownPackages });
    });
    // zod carries its messages in fifty languages, half of a bundle. English stays.
    build.onResolve({ filter: /\/locales\/index\.js$/ }, ({ importer, resolveDir }) =>
      importer.includes('/zod/')
        ? { path: join(resolveDir, '../locales/en.js'), sideEffects: false }
        : undefined,
    );
    // Compiled add-ons cannot be bundled: they stay files of this machine.
    build.onResolve({ filter: /\.node$/ }, async ({ path, kind, resolveDir, pluginData }) => {
      if (pluginData === ownPackages) return undefined;
      const found = await build.resolve(path, { kind, resolveDir, pluginData: ownPackages });
      return found.errors.length > 0 ? found : { path: found.path, external: true };
    });
  },
};

/** A block runs in a process of Node; a policy in a sandbox that has nothing but the language. */
const targets: { readonly [kind in 'block' | 'policy']: BuildOptions } = {
  block: {
    platform: 'node',
    target: 'node20',
    // CommonJS dependencies call `require('fs')`; an ES module has none.
    banner: {
      js: "import{createRequire as aiosCreateRequire}from'node:module';globalThis.require??=aiosCreateRequire(import.meta.url);",
    },
  },
  policy: { platform: 'neutral', target: 'es2022', mainFields: ['module', 'main'] },
};

const toProblem = ({ text, location }: Message, folder: string): Problem => ({
  path: location ? `${location.file}:${location.line}:${location.column + 1}` : folder,
  message: text,
  ...(location ? { seen: location.lineText.trim().slice(0, 80) } : {}),
});

/** Inlines a source map without paths of this machine: the same sources give the same hash wherever they lie. */
function portableMap(text: string, folder: string): string {
  const map: { sources: string[] } = JSON.parse(text);
  const sources = map.sources.map((source) => {
    const path = resolve(folder, source);
    const inside = relative(folder, path);
    if (!inside.startsWith('..')) return inside;
    const dependency = path.lastIndexOf('/node_modules/');
    if (dependency >= 0) return path.slice(dependency + 1);
    const own = relative(packageRoot, path);
    return own.startsWith('..') ? basename(path) : join('aios-sdk', own);
  });
  const base64 = Buffer.from(JSON.stringify({ ...map, sources })).toString('base64');
  return `data:application/json;base64,${base64}`;
}

/**
 * Bundles one TypeScript or JavaScript file with everything it imports.
 *
 * @param file - absolute
 * @param options - `minify: false` keeps every statement apart, for line coverage
 * @throws {AiosError} NOT_FOUND; BUNDLE_FAILED - every problem with file, line and column
 */
export async function bundle(
  file: string,
  kind: 'block' | 'policy',
  options: { readonly minify?: boolean } = {},
): Promise<Bundle> {
  const { minify = true } = options;
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) {
    throw new AiosError('NOT_FOUND', `there is no file '${file}'.`);
  }
  const { build } = await import('esbuild');
  const folder = dirname(file);
  try {
    const result = await build({
      ...targets[kind],
      entryPoints: [file],
      absWorkingDir: folder,
      outfile: `${file}.mjs`,
      write: false,
      bundle: true,
      format: 'esm',
      sourcemap: 'external',
      // Line numbers need no copy of the sources, zod's included.
      sourcesContent: false,
      minifyWhitespace: minify,
      minifySyntax: minify,
      logLevel: 'silent',
      conditions: fromSources ? ['@aios/source'] : [],
      plugins: [ownPackages],
    });
    const text = (end: string) => result.outputFiles.find(({ path }) => path.endsWith(end))?.text;
    const map = portableMap(text('.map') ?? '', folder);
    const code = Buffer.from(`${text('.mjs')}//# sourceMappingURL=${map}\n`);
    return { code, hash: `sha256:${createHash('sha256').update(code).digest('hex')}` };
  } catch (error) {
    const { errors = [] } = error as Partial<BuildFailure>;
    const problems = errors.map((message) => toProblem(message, file));
    const first = problems[0];
    throw new AiosError(
      'BUNDLE_FAILED',
      `'${basename(file)}' cannot be bundled: ${first ? `${first.path}: ${first.message}` : AiosError.from(error).message}.`,
      { problems, cause: error, details: { file: relative(process.cwd(), file) } },
    );
  }
}
