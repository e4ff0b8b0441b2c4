#!/usr/bin/env node
// Disturbs eight answers of 200 tokens, many times, and prints how long each paused:
// npm run chaos [-- --runs 50 --mode kill|cut|delay|all --seed N].
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string' },
    mode: { type: 'string', default: 'kill' },
    seed: { type: 'string' },
  },
});
const { runs = positionals[0] ?? '50', mode, seed = positionals[1] } = values;
if (!['kill', 'cut', 'delay', 'all'].includes(mode) || !/^[1-9]\d*$/.test(runs)) {
  process.stderr.write('expected: npm run chaos -- --runs 50 --mode kill|cut|delay|all\n');
  process.exit(64);
}
const vitest = join(
  dirname(createRequire(import.meta.url).resolve('vitest/package.json')),
  'vitest.mjs',
);
const { status } = spawnSync(
  process.execPath,
  [vitest, 'run', '--project', 'integration', 'test/integration/vdag/chaos.test.ts'],
  {
    stdio: 'inherit',
    env: {
      ...process.env,
      AIOS_CHAOS_RUNS: runs,
      AIOS_CHAOS_MODE: mode,
      ...(seed === undefined ? {} : { AIOS_CHAOS_SEED: seed }),
    },
  },
);
process.exit(status ?? 1);
