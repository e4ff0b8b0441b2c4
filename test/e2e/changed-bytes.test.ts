import { cp, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CreatedPlan } from '../../sdk/client/api.ts';
import { differences, golden } from '../support/golden.ts';
import { eventually, System, tinyAssistant } from '../support/system.ts';

let system: System;
let scratch: string;
let weights: string;
let plan: string;

beforeAll(async () => {
  system = await System.start();
  await system.cluster('west', 1, 4 * 2 ** 30, 16);
  scratch = await mkdtemp(join(tmpdir(), 'aios-changed-'));
  const model = join(scratch, 'model');
  await cp(tinyAssistant, model, { recursive: true });
  weights = join(model, 'model.safetensors');
  plan = join(scratch, 'plan');
  await system.json('split', model, '--shards', '2', '--out', plan);
});

afterAll(async () => {
  await system?.stop();
  await rm(scratch, { recursive: true, force: true });
});

/** Turns every bit of one byte of the last weight, in the file that the plan links. Twice is as before. */
async function spoil(): Promise<void> {
  const file = await open(weights, 'r+');
  try {
    const { size } = await file.stat();
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, size - 1);
    byte[0] = 255 - (byte[0] ?? 0);
    await file.write(byte, 0, 1, size - 1);
  } finally {
    await file.close();
  }
}

it('weights that changed after the split are refused, and nothing of the plan is kept', async () => {
  await spoil();

  const refused = await system.aios('create-plan', plan);

  expect(refused.exitCode).toBe(2);
  expect(refused.err).toContain('ARTIFACT_CORRUPT');
  expect(await readdir(join(system.dataDirectory, 'incoming'))).toEqual([]);
  expect((await system.status()).blocks).toEqual([]);
  expect(await system.json('get', 'components')).toEqual([]);
  expect(system.processes()).toEqual([]);
  await spoil();
});

it('weights that change under a running model start no instance again until they are as they were', async () => {
  const created = await system.json<CreatedPlan>('create-plan', plan, '--wait');
  const first = String(created.blocks[0]);
  await spoil();
  const [instance] = (await system.block(first))?.instances ?? [];
  process.kill(Number(instance?.pid), 'SIGKILL');

  const reason = await eventually('the block says why', async () => {
    const block = await system.block(first);
    const said = [block?.reason, ...(block?.instances.map(({ lastError }) => lastError) ?? [])];
    return said.find((text) => text?.includes('was changed after it was stored'));
  });
  expect(reason).toContain('Upload it again');
  expect(system.processes()).toHaveLength(1);

  await spoil();
  await eventually('it runs again', async () => (await system.block(first))?.state === 'running');
  const row = golden.rows[0];
  if (row) expect(await differences(system.url, created.model, row)).toEqual([]);
});
