#!/usr/bin/env node
// Kills a random shard at a random token, many times: npm run chaos [-- RUNS [SEED]]. Prints how long each answer paused.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const [runs = '50', seed] = process.argv.slice(2);
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
      ...(seed === undefined ? {} : { AIOS_CHAOS_SEED: seed }),
    },
  },
);
process.exit(status ?? 1);
