#!/usr/bin/env node
// Builds dist with tsc; with --if-stale only when a source is newer than the last build.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
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
function compile() {
  const startedAt = new Date();
  const dist = join(root, 'dist');
  const next = join(root, `dist.next-${process.pid}`);
  const old = join(root, `dist.old-${process.pid}`);
  const typescript = createRequire(import.meta.url).resolve('typescript/package.json');
  const args = [join(dirname(typescript), 'bin', 'tsc'), '-p', join(root, 'tsconfig.build.json')];
  try {
    execFileSync(process.execPath, [...args, '--outDir', next], {
      stdio: ['ignore', 2, 2],
      cwd: root,
    });
    // As old as the start: a source saved while compiling is newer, and the next run builds again.
    writeFileSync(join(next, '.built'), '');
    utimesSync(join(next, '.built'), startedAt, startedAt);
    if (existsSync(dist)) renameSync(dist, old);
    renameSync(next, dist);
  } finally {
    for (const folder of [next, old]) rmSync(folder, { recursive: true, force: true });
  }
}

const lock = join(root, 'dist.lock');
const lockPatienceMs = 120_000;

/** One build at a time: two commands started together in a fresh clone wait for each other. */
function takeLock() {
  for (const deadline = Date.now() + lockPatienceMs; ; ) {
    try {
      mkdirSync(lock);
      return;
    } catch (error) {
      // A holder that was killed leaves its lock behind; no build takes this long.
      if (error.code !== 'EEXIST' || Date.now() > deadline) throw error;
      if (Date.now() - modifiedAt(lock) > lockPatienceMs / 2)
        rmSync(lock, { recursive: true, force: true });
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  }
}

/** Builds, unless `onlyIfStale` and another process has just done so. */
export function build({ onlyIfStale = true } = {}) {
  takeLock();
  try {
    if (onlyIfStale && !isStale()) return;
    process.stderr.write('aios: building (once after each change of the sources) …\n');
    compile();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

if (process.argv[1] && fileURLToPath(import.meta.url) === realpathSync(process.argv[1])) {
  const onlyIfStale = process.argv.includes('--if-stale');
  if (!onlyIfStale || isStale()) build({ onlyIfStale });
}
