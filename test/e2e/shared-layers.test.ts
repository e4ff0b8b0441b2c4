import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CreatedPlan } from '../../sdk/client/api.ts';
import type { LayerStatus } from '../../sdk/client/layer.ts';
import { differences, golden } from '../support/golden.ts';
import { eventually, System, tinyAssistant } from '../support/system.ts';

let system: System;
let scratch: string;
let planner: string;

beforeAll(async () => {
  system = await System.start();
  await system.cluster('west', 1, 4 * 2 ** 30, 16);
  scratch = await mkdtemp(join(tmpdir(), 'aios-layers-'));
  planner = join(scratch, 'planner.ts');
  await writeFile(
    planner,
    `import { definePolicy } from 'aios-sdk';
    import { z } from 'zod';
    export default definePolicy({
      hook: 'splitPlanner', name: 'table', version: '1.0.0', description: 'By number of shards.',
      parameters: z.strictObject({}), settings: z.strictObject({}),
      evaluate: ({ shards }) => ({ firstLayers: shards === 3 ? [0, 2, 5] : [0, 2] }),
    });`,
  );
});

afterAll(async () => {
  await system?.stop();
  await rm(scratch, { recursive: true, force: true });
});

let plans = 0;
/** Splits a model and creates its plan. */
async function create(model: string, shards: number, ...flags: string[]): Promise<CreatedPlan> {
  plans += 1;
  const out = join(scratch, `plan-${plans}`);
  const how = ['--planner', planner, '--shards', String(shards), '--out', out];
  await system.json('split', model, ...how, ...flags.filter((flag) => flag !== '--no-share'));
  const share = flags.includes('--no-share') ? ['--no-share'] : [];
  return system.json<CreatedPlan>('create-plan', out, '--wait', ...share);
}

async function faults(model: string): Promise<string[]> {
  const rows = golden.rows.slice(0, 6);
  const found = await Promise.all(rows.map((row) => differences(system.url, model, row)));
  return found.flat();
}
const layers = () => system.json<LayerStatus[]>('get', 'layers');

describe('two models over the same stages', () => {
  let first: CreatedPlan;
  let second: CreatedPlan;
  let copy: string;

  it('are served by the same processes, and answer exactly', async () => {
    copy = join(scratch, 'another-name');
    await cp(tinyAssistant, copy, { recursive: true });
    first = await create(tinyAssistant, 3);
    const before = system.processes().map(({ pid }) => pid);
    // Fewer sessions than those that run have room for.
    second = await create(copy, 3, '--max-sessions', '2');

    expect(second.model).not.toBe(first.model);
    expect(second.blocks).toEqual([]);
    expect(second.sharedBlocks).toEqual(first.blocks);
    expect(system.processes().map(({ pid }) => pid)).toEqual(before);
    const both = await Promise.all([faults(first.model), faults(second.model)]);
    expect(both.flat()).toEqual([]);
  });

  it('may be created again, and are listed by layer', async () => {
    const again = await create(copy, 3, '--max-sessions', '2');
    expect(again).toEqual(second);

    const found = await layers();
    expect(found).toHaveLength(3);
    for (const { blocks, vdags, kind, fileBytes } of found) {
      expect(vdags).toEqual([first.model, second.model].sort());
      expect(blocks).toMatchObject([{ readyInstances: 1, wantedInstances: 1 }]);
      expect([kind, fileBytes > 0]).toEqual(['stage', true]);
    }
  });

  it('share the shard that they have in common, cut into other numbers of parts', async () => {
    const two = await create(tinyAssistant, 2);

    expect(two.sharedBlocks).toEqual([first.blocks[0]]);
    expect(two.blocks).toHaveLength(1);
    const both = await Promise.all([faults(first.model), faults(two.model)]);
    expect(both.flat()).toEqual([]);

    await system.json('delete', 'vdag', two.model, '--cascade');
    expect(await faults(first.model)).toEqual([]);
  });

  it('are not shared with one that needs more room, or wants its own', async () => {
    const roomy = await create(copy, 3, '--max-sessions', '9');
    expect(roomy.sharedBlocks).toBeUndefined();
    await system.json('delete', 'vdag', roomy.model, '--cascade');

    const own = await create(copy, 3, '--max-sessions', '3', '--no-share');
    expect(own.blocks).toHaveLength(3);
    await system.json('delete', 'vdag', own.model, '--cascade');
  });

  it('outlive each other: what one leaves, the other keeps', async () => {
    const before = system.processes().map(({ pid }) => pid);

    const outcome = await system.json<{ kept: unknown[] }>(
      ...['delete', 'vdag', first.model, '--cascade'],
    );

    expect(outcome.kept).toHaveLength(6);
    expect(system.processes().map(({ pid }) => pid)).toEqual(before);
    expect(await faults(second.model)).toEqual([]);
    const alone = await system.aios('delete', 'block', String(first.blocks[0]));
    expect(alone.err).toContain('IN_USE');

    await system.json('delete', 'vdag', second.model, '--cascade');
    await eventually('every process ended', () => system.processes().length === 0);
    expect(await layers()).toEqual([]);
  });
});

describe('a layer', () => {
  const hash = `sha256:${'c'.repeat(64)}`;

  it('is noted, found and forgotten, whether it runs or not', async () => {
    const api = `${system.url}/api/layers`;
    const post = (body: unknown) =>
      fetch(api, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });

    const noted = await post({ hash, model: 'big', metadata: { rank: 3 } });

    expect(noted.status).toBe(201);
    expect(await layers()).toMatchObject([
      { hash, kind: 'registered', blocks: [], noted: { model: 'big', metadata: { rank: 3 } } },
    ]);
    expect((await post({ hash: 'md5:1' })).status).toBe(400);
    expect((await fetch(`${api}/${hash}`, { method: 'DELETE' })).status).toBe(204);
    expect((await fetch(`${api}/${hash}`)).status).toBe(404);
  });
});
