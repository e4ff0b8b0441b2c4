#!/usr/bin/env node
// Builds dist with tsc; with --if-stale only when a source is newer than the last build.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'dist', '.built');
const sources = [
  'sdk',
  'policies',
  'runtime',
  'cli',
  'examples/demo',
  'tsconfig.json',
  'tsconfig.build.json',
  'package.json',
];

function modifiedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function newest(path) {
  const info = statSync(path, { throwIfNoEntry: false });
  if (!info) return 0;
  if (!info.isDirectory()) return info.mtimeMs;
  return Math.max(info.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

/** Whether dist is missing or older than the sources. An installed package has no sources: never stale. */
export function isStale() {
  return (
    newest(join(root, 'sdk', 'index.ts')) > 0 &&
    sources.some((s) => newest(join(root, s)) > modifiedAt(stamp))
  );
}

/** Compiles beside dist and swaps: whoever runs from dist meanwhile never sees half a build. */
export function build() {
  const dist = join(root, 'dist');
  const next = join(root, `dist.next-${process.pid}`);
  const old = join(root, `dist.old-${process.pid}`);
  const tsc = join(
    dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
    'bin',
    'tsc',
  );
  try {
    const args = [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', next];
    execFileSync(process.execPath, args, { stdio: ['ignore', 2, 2], cwd: root });
    writeFileSync(join(next, '.built'), '');
    if (existsSync(dist)) renameSync(dist, old);
    renameSync(next, dist);
  } finally {
    for (const folder of [next, old]) rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] && fileURLToPath(import.meta.url) === realpathSync(process.argv[1])) {
  if (!process.argv.includes('--if-stale') || isStale()) build();
}
