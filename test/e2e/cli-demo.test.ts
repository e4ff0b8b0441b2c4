import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

it('the demo splits, places, asks, and finds that every token agrees', async () => {
  const main = fileURLToPath(new URL('../../dist/examples/demo/main.js', import.meta.url));

  const { stdout } = await promisify(execFile)(process.execPath, [main]);

  expect(stdout).toContain('Every token agrees.');
  expect(stdout).toContain('I am a tiny assistant, split across the nodes of a cluster.');
  expect(stdout).toMatch(/attic-tiny .*refused: .*saw 64\.0 MiB/);
});
