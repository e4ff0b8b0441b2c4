import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { splitters, writeSplit } from '../../runtime/model/index.ts';
import type { CreatedPlan } from '../../sdk/client/api.ts';
import { differences, golden } from '../support/golden.ts';
import { System, tinyAssistant } from '../support/system.ts';

let system: System;
let scratch: string;
let folder: string;

beforeAll(async () => {
  system = await System.start();
  await system.cluster('west', 1, 4 * 2 ** 30, 16);
  scratch = await mkdtemp(join(tmpdir(), 'aios-open-'));
  folder = join(scratch, 'plan');
  await writeSplit({
    ...{ modelFolder: tinyAssistant, outFolder: folder, splitters, readAtMostBytes: 0 },
    hashCachePath: join(scratch, 'hashes.json'),
    plan: async () => ({ firstLayers: [0, 3] }),
  });
});

afterAll(async () => {
  await system?.stop();
  await rm(scratch, { recursive: true, force: true });
});

const planFile = () => readFile(join(folder, 'plan.json'), 'utf8');

it('a server takes no plan whose weights nobody has read', async () => {
  const response = await fetch(`${system.url}/api/plans`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: await planFile(),
  });

  expect(response.status).toBe(400);
  expect(JSON.stringify(await response.json())).toContain('SPLIT_PLAN_INVALID');
  expect(await system.json('get', 'components')).toEqual([]);
});

it('create-plan hashes them, and the model answers', async () => {
  const created = await system.json<CreatedPlan>('create-plan', folder, '--wait');

  const plan = JSON.parse(await planFile());
  expect(plan.pending).toBeUndefined();
  expect(plan.blocks.map(({ id }: { id: string }) => id)).toEqual(created.blocks);
  const row = golden.rows[0];
  if (row) expect(await differences(system.url, created.model, row)).toEqual([]);
});
