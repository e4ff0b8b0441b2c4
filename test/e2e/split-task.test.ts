import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SplitTask } from '../../sdk/client/split-task.ts';
import type { SplitPlan } from '../../sdk/spec/plan.ts';
import { eventually, repository, System } from '../support/system.ts';

const example = (name: string): string => join(repository, 'examples/custom-splitter', name);
const allowed = [
  ...['--models', join(repository, 'examples/models')],
  ...['--models', join(repository, 'examples/custom-splitter')],
];

let system: System;
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'aios-tasks-'));
  system = await System.start();
  await system.cluster('west', 1, 2 ** 30, 16);
  await system.signal('SIGTERM');
  await system.up(...allowed);
});

afterAll(async () => {
  await system?.stop();
  await rm(scratch, { recursive: true, force: true });
});

/** A splitter of parity that does something first in `main`. */
async function splitter(name: string, main: string): Promise<string> {
  const file = join(scratch, `${name}.ts`);
  await writeFile(
    file,
    `import { writeFileSync } from 'node:fs';
    import { join } from 'node:path';
    import { defineSplitter } from 'aios-sdk';
    import mlp from ${JSON.stringify(example('mlp-splitter.ts'))};
    export default defineSplitter({
      ...mlp,
      async main(context, begun) {
        writeFileSync(join(context.outFolder, 'half'), 'written');
        context.task.log('attempt ' + context.task.attempt);
        ${main}
        const done = await mlp.main(context, begun);
        return done;
      },
    });`,
  );
  return file;
}
const tasks = () => system.json<SplitTask[]>('split-task', 'list');
const leftOver = () => readdir(join(system.dataDirectory, 'splits')).catch(() => []);
/** y of three rows of bits. */
async function parityOf(model: string): Promise<number[]> {
  const data = {
    tensors: { x: { dtype: 'float32', shape: [3, 3], data: [1, 1, 0, 1, 1, 1, 0, 0, 0] } },
  };
  const answer = await system.json<{ tensors: { y: { data: string } } }>(
    ...['infer', 'vdag', model, '--data', JSON.stringify(data)],
  );
  const bytes = Buffer.from(answer.tensors.y.data, 'base64');
  return [
    ...new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)),
  ];
}

describe('the example', () => {
  it('is planned here, and nothing is written', async () => {
    const preview = await system.json<{ shards: unknown[]; nodes: unknown[] }>(
      ...['split', example('parity'), '--splitter', example('mlp-splitter.ts')],
      ...['--fit', 'west', '--shards', '2', '--dry-run', '--out', join(scratch, 'dry')],
    );

    expect(preview).toMatchObject({
      ...{ model: 'parity', architecture: 'MLP', estimated: true, homeless: [] },
      shards: [{ firstLayer: 0, residentBytes: 48 }, { firstLayer: 1 }],
    });
    expect(await readdir(scratch)).toEqual([]);
  });

  it('is split here, created, and answers', async () => {
    const out = join(scratch, 'plan');
    const plan = await system.json<SplitPlan>(
      ...['split', example('parity'), '--splitter', example('mlp-splitter.ts')],
      ...['--shards', '2', '--out', out],
    );
    const created = await system.json<{ model: string }>('create-plan', out, '--wait');

    expect(plan).toMatchObject({ splitter: 'mlp', shards: [{}, {}] });
    expect(await parityOf(created.model)).toEqual([0, 1, 1, 0, 0, 1]);
    await system.json('delete', 'vdag', created.model, '--cascade');
  });

  it('is split by a task on a node, created, and answers the same', async () => {
    const task = await system.json<SplitTask>(
      ...['split-task', 'run', 'parity', '--splitter', example('mlp-splitter.ts')],
      ...['--shards', '3', '--create', '--run-on', 'cluster', '--memory', '256Mi'],
    );

    expect(task).toMatchObject({ state: 'succeeded', attempts: 1, shards: 3 });
    expect(task.place).toMatchObject({ clusterId: 'west', nodeId: 'west-0' });
    expect(await system.json('get', 'decision', String(task.place?.decisionId))).toMatchObject({
      outcome: 'placed',
    });
    await eventually('it runs', async () => {
      const status = await system.status();
      return status.vdags.length === 1 && status.vdags.every(({ ready }) => ready);
    });
    expect(await parityOf(String(task.vdagUri))).toEqual([0, 1, 1, 0, 0, 1]);
    await system.json('delete', 'vdag', String(task.vdagUri), '--cascade');
    const [cluster] = (await system.status()).clusters;
    expect(cluster?.nodes[0]?.free.memoryBytes).toBe(cluster?.nodes[0]?.capacity.memoryBytes);
    expect(await leftOver()).toEqual([]);
  });
});

describe('a task', () => {
  it('is refused by the policies where no node has room, and says why', async () => {
    const refused = await system.aios(
      'split-task',
      'run',
      'parity',
      '--run-on',
      'cluster',
      '--memory',
      '8Gi',
    );

    expect(refused.exitCode).toBe(5);
    expect(refused.err).toContain('NO_CANDIDATE');
    expect(refused.err).toContain('aios get decision');
  });

  it('whose process dies is tried again, and logged', async () => {
    const file = await splitter('flaky', 'if (context.task.attempt === 1) process.exit(9);');

    const task = await system.json<SplitTask>('split-task', 'run', 'parity', '--splitter', file);

    expect(task).toMatchObject({ state: 'succeeded', attempts: 2 });
    const { lines } = await system.json<{ lines: string[] }>('split-task', 'logs', task.id);
    expect(lines.filter((line) => line.startsWith('attempt '))).toEqual([
      'attempt 1',
      expect.stringContaining('attempt 1 of 3: SPLITTER_FAILED'),
      'attempt 2',
    ]);
    expect(await leftOver()).toEqual([]);
  });

  it('survives the end of its control plane, however it ends', async () => {
    const file = await splitter(
      'slow',
      'if (context.task.attempt < 3) await new Promise(() => {});',
    );
    const submitted = await system.json<SplitTask>(
      ...['split-task', 'run', 'parity', '--splitter', file, '--detach'],
    );
    for (const [signal, attempts] of [
      ['SIGTERM', 1],
      ['SIGKILL', 2],
    ] as const) {
      await eventually(`attempt ${attempts} runs`, async () => {
        const task = await system.json<SplitTask>('split-task', 'get', submitted.id);
        const logged = await system.json<{ lines: string[] }>('split-task', 'logs', submitted.id);
        return task.attempts === attempts && logged.lines.includes(`attempt ${attempts}`);
      });
      await system.signal(signal);
      await system.up(...allowed);
    }

    const over = await eventually('it is over', async () => {
      const task = await system.json<SplitTask>('split-task', 'get', submitted.id);
      return task.state === 'succeeded' && task;
    });

    expect(over).toMatchObject({ attempts: 3, shards: 1 });
    const created = await system.json<{ model: string }>('split-task', 'create', over.id, '--wait');
    expect(await parityOf(created.model)).toEqual([0, 1, 1, 0, 0, 1]);
    await system.json('delete', 'vdag', created.model, '--cascade');
    expect(await leftOver()).toEqual([]);
  });

  it('is cancelled, begun anew and forgotten', async () => {
    const file = await splitter('endless', 'await new Promise(() => {});');
    const { id } = await system.json<SplitTask>(
      ...['split-task', 'run', 'parity', '--splitter', file, '--detach'],
    );
    await eventually('it runs', async () =>
      (await tasks()).some((task) => task.id === id && task.state === 'running'),
    );

    expect(await system.json('split-task', 'cancel', id)).toMatchObject({ state: 'cancelled' });
    expect(await leftOver()).toEqual([]);
    expect(await system.json('split-task', 'retry', id)).toMatchObject({ state: 'pending' });
    await system.json('split-task', 'cancel', id);
    await system.json('split-task', 'cancel', id);
    expect((await tasks()).map((task) => task.id)).not.toContain(id);
  });

  it('never takes a path from a client', async () => {
    const submit = async (body: unknown) => {
      const response = await fetch(`${system.url}/api/split-tasks`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return [response.status, ((await response.json()) as { code: string }).code];
    };
    const before = await tasks();

    for (const model of ['/etc', '../models', 'parity/../../..', '.', `${scratch}/x`, 'none']) {
      expect([model, ...(await submit({ model }))]).toEqual([model, 404, 'NOT_FOUND']);
    }
    expect(await submit({ model: 'parity', splitter: '/any/x.ts' })).toEqual([400, 'SPEC_INVALID']);
    expect(await submit({ model: 'parity', splitter: `sha256:${'0'.repeat(64)}` })).toEqual([
      ...[404, 'NOT_FOUND'],
    ]);
    expect(await submit({ model: 'parity', outFolder: '/etc' })).toEqual([400, 'SPEC_INVALID']);
    expect(await tasks()).toEqual(before);
  });

  it('lists the models that are allowed', async () => {
    expect(await system.json('split-task', 'models')).toEqual([
      { id: 'parity', kind: 'folder' },
      { id: 'tiny-assistant', kind: 'folder' },
    ]);
  });
});
