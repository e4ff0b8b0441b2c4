import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { renderFit } from '../../../cli/split-fit.ts';
import { errorCodes } from '../../../sdk/errors.ts';
import { writeTestModel } from '../../support/checkpoint.ts';
import { aios } from './harness.ts';

async function modelFolder() {
  const cwd = await mkdtemp(join(tmpdir(), 'aios-refused-'));
  onTestFinished(() => rm(cwd, { recursive: true, force: true }));
  await writeTestModel(join(cwd, 'm'));
  return cwd;
}

test('a planner that cuts by nodes says that it needs them', async () => {
  const cwd = await modelFolder();

  const { code, err } = await aios(
    'split m --planner fastest --shards 2 --out p --url http://127.0.0.1:9'.split(' '),
    { cwd },
  );

  expect(code).toBe(errorCodes.SPLIT_INFEASIBLE.exit);
  expect(err).toContain('--fit CLUSTER');
  expect(await readdir(cwd)).toEqual(['m']);
});

test('a tokenizer that no chat could load is refused before anything is written', async () => {
  const cwd = await modelFolder();
  await writeFile(join(cwd, 'm', 'tokenizer.json'), '{"a":1}');

  const { code, err } = await aios(['split', 'm', '--out', 'p'], { cwd });

  expect(code).toBe(errorCodes.CHECKPOINT_INVALID.exit);
  expect(err).toContain('tokenizer.json: $.model');
  expect(await readdir(cwd)).toEqual(['m']);
});

test('what a planner says in no words is a sentence', () => {
  const node = { clusterId: 'c', nodeId: 'n', freeMemoryBytes: 1, cpuCores: 1 };
  const said = (firstLayers: number[]) =>
    renderFit({ fit: { nodes: [node] }, answer: { firstLayers } });

  expect(said([0, 2])).toEqual(['the planner splits it, and names no nodes']);
  expect(said([0])).toEqual(['the planner does not split it']);
});
