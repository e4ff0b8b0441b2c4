import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keepArtifacts } from '../../../runtime/split-task/keep-artifacts.ts';
import { heapMebibytes } from '../../../runtime/split-task/perform.ts';
import { AiosError } from '../../../sdk/errors.ts';
import type { SplitPlan } from '../../../sdk/spec/plan.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-keep-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a fault of the disk is told, not what follows from it, and no ticket is left', async () => {
  const taken: string[] = [];
  const file = { name: 'w.bin', hash: `sha256:${'a'.repeat(64)}`, sizeBytes: 1 };
  const plan = {
    components: [{ stage: { index: 0, files: [file] } }],
    shards: [{ index: 0, folder: 'shard-0' }],
    vdag: {},
  } as unknown as SplitPlan;

  const kept = keepArtifacts(
    {
      has: async () => false,
      openLink: async () => ({ ticket: 't1', path: join(folder, 'incoming') }),
      async commitLink(ticket) {
        taken.push(ticket);
        throw new AiosError('ARTIFACT_CORRUPT', 'nothing lies there.');
      },
    },
    folder,
    plan,
    { signal: new AbortController().signal, onBytes: () => undefined },
  );

  await expect(kept).rejects.toMatchObject({ code: 'ENOENT' });
  expect(taken).toEqual(['t1']);
});

test('a heap is what was asked for, and no larger than the machine', () => {
  const mebibyte = 2 ** 20;

  expect(heapMebibytes(128 * mebibyte)).toBe(128);
  expect(heapMebibytes(2 ** 60)).toBe(heapMebibytes(2 ** 61));
  expect(heapMebibytes(2 ** 60)).toBeLessThan(2 ** 40);
});
