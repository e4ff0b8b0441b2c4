import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { entryPath } from '../../../runtime/entry.ts';
import { createSqliteStore } from '../../../runtime/store/index.ts';

test('a sqlite store has everything that was committed when its process is killed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'aios-store-'));
  const path = join(folder, 'aios.db');
  const storeModule = pathToFileURL(entryPath('runtime/store/index.js')).href;
  const script = `
    import { createSqliteStore } from ${JSON.stringify(storeModule)};
    const store = createSqliteStore(${JSON.stringify(path)});
    for (let n = 0; ; n += 1) {
      await store.commit([{ tenant: 'default', kind: 'block', id: 'n', type: 'put', value: n }]);
      process.stdout.write(n + '\\n');
    }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (chunk) => {
    printed += chunk;
    if (printed.length > 500) child.kill('SIGKILL');
  });
  await new Promise((resolve) => child.once('close', resolve));

  const store = createSqliteStore(path);
  const found = await store.get<number>({ tenant: 'default', kind: 'block', id: 'n' });
  await store.close();
  rmSync(folder, { recursive: true });

  // The last line may be cut in the middle of a number; the one before it is whole.
  expect(found?.value).toBeGreaterThanOrEqual(Number(printed.split('\n').at(-2)));
});
