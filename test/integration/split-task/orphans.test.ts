import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { entryPath } from '../../../runtime/entry.ts';
import { endLeftProcess, identify } from '../../../runtime/split-task/left-process.ts';
import { eventually } from '../../support/system.ts';

let folder: string;
let started: ChildProcess[];
let pidsLeft: readonly number[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-orphans-'));
  await mkdir(join(folder, 'model'));
  started = [];
  pidsLeft = [];
});
afterEach(async () => {
  for (const child of started) child.kill('SIGKILL');
  for (const pid of pidsLeft) if (isThere(pid)) process.kill(pid, 'SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    // Ended, but nobody has asked yet how.
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};
const allGone = (pids: readonly number[]) =>
  eventually('all of them are gone', async () => !pids.some(isThere));

/** A process that splits with an author's splitter, as a control plane does, and what works for it. */
async function splitting(main: string): Promise<{ parent: ChildProcess; pids: number[] }> {
  await writeFile(
    join(folder, 'own.mjs'),
    `import { spawn } from 'node:child_process';
    import { writeFileSync } from 'node:fs';
    import { join } from 'node:path';
    export default { type: 'splitter', name: 'own', description: 'anything.', accepts: async () => true,
      begin: async () => undefined, finish: async () => undefined,
      async main(context) {
        writeFileSync(join(context.outFolder, 'half'), 'written');
        const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' });
        await new Promise((done) => child.once('spawn', done));
        writeFileSync(${JSON.stringify(join(folder, 'pids'))}, process.pid + ' ' + child.pid + ' .');
        ${main}
      } };`,
  );
  await writeFile(
    join(folder, 'parent.mjs'),
    `import { runSplitWorker } from ${JSON.stringify(pathToFileURL(entryPath('runtime/split-task/index.js')).href)};
    await runSplitWorker({
      order: {
        split: { modelFolder: ${JSON.stringify(join(folder, 'model'))}, outFolder: ${JSON.stringify(join(folder, 'out'))},
          hashCachePath: ${JSON.stringify(join(folder, 'hashes.json'))} },
        splitterFile: ${JSON.stringify(join(folder, 'own.mjs'))}, task: { id: 'a', attempt: 1 } },
      plan: async () => ({ firstLayers: [0] }),
      layers: { find: async () => undefined, register: async () => undefined },
      onProgress() {}, onLog() {}, signal: new AbortController().signal });`,
  );
  const parent = spawn(process.execPath, [join(folder, 'parent.mjs')], { stdio: 'inherit' });
  started.push(parent);
  const [worker = 0, grandchild = 0] = await eventually('it works', async () => {
    const text = await readFile(join(folder, 'pids'), 'utf8').catch(() => '');
    return text.endsWith('.') && text.split(' ').map(Number);
  });
  pidsLeft = [worker, grandchild];
  return { parent, pids: [worker, grandchild] };
}

describe('when its parent is killed, the process that splits ends with all it started', () => {
  test('though an author’s code never lets go of it', async () => {
    const { parent, pids } = await splitting('for (;;) {}');

    parent.kill('SIGKILL');

    await allGone(pids);
  });

  test('and removes what it wrote, where it can', async () => {
    const { parent, pids } = await splitting(
      `await new Promise((_, reject) => context.signal.addEventListener('abort', reject));`,
    );
    expect((await readdir(folder)).some((name) => name.startsWith('.out-'))).toBe(true);

    parent.kill('SIGKILL');

    await allGone(pids);
    expect((await readdir(folder)).some((name) => name.startsWith('.out-'))).toBe(false);
  });

  test('also where it ends by itself first', async () => {
    const { parent, pids } = await splitting(
      `await new Promise((_, reject) => context.signal.addEventListener('abort', () => process.exit(0)));`,
    );

    parent.kill('SIGKILL');

    await allGone(pids);
  });
});

describe('a process that was left', () => {
  const starting = async (): Promise<{ pid: number; child: ChildProcess }> => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], {
      ...{ detached: true, stdio: 'ignore' },
    });
    started.push(child);
    await once(child, 'spawn');
    return { pid: child.pid ?? 0, child };
  };

  test('is ended if it is still that one', async () => {
    const { pid, child } = await starting();
    const ended = once(child, 'exit');
    const left = await identify(pid);
    expect(left).toMatchObject({ pid });

    if (left) await endLeftProcess(left);

    expect(await ended).toEqual([null, 'SIGKILL']);
    expect(await identify(pid)).toBeUndefined();
  });

  test('is let be if its pid is another’s by now', async () => {
    const { pid } = await starting();
    const left = await identify(pid);

    await endLeftProcess({ pid, startTime: `${left?.startTime}0` });

    expect(isThere(pid)).toBe(true);
  });

  test('is none once it has ended', async () => {
    const { pid, child } = await starting();
    child.kill('SIGKILL');
    await once(child, 'exit');

    expect(await identify(pid)).toBeUndefined();
    await endLeftProcess({ pid, startTime: '1' });
  });
});
