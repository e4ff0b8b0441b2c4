#!/usr/bin/env node
// Runs one benchmark: node test/bench/run.js NAME [arguments]. Its TypeScript is compiled on the fly; what it imports of
// ours is the build in dist, as users run it.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const folder = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(folder));
const [name = '', ...rest] = process.argv.slice(2);
const source = join(folder, `${name}.ts`);
if (!/^[a-z0-9-]+$/.test(name) || !existsSync(source)) {
  console.error(`no benchmark '${name}' in test/bench`);
  process.exit(2);
}

const outfile = join(root, 'dist', 'bench', `${name}.js`);
const fromDist = {
  name: 'from-dist',
  setup({ onResolve }) {
    onResolve({ filter: /^(\.\.\/)+(sdk|runtime|policies|cli)\// }, ({ path, resolveDir }) => {
      const inRoot = relative(root, join(resolveDir, path)).replace(/\.ts$/, '.js');
      return { path: `../${inRoot}`, external: true };
    });
  },
};
await build({
  entryPoints: [source],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  packages: 'external',
  plugins: [fromDist],
  logLevel: 'error',
});
const { status } = spawnSync(process.execPath, [outfile, ...rest], { stdio: 'inherit' });
process.exit(status ?? 1);
