import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { builtinPolicies } from '../../../policies/index.ts';
import { entryPath } from '../../../runtime/entry.ts';
import { createControlPlane } from '../../../runtime/index.ts';
import { createSqliteStore } from '../../../runtime/store/index.ts';
import type { InstanceStatus } from '../../../sdk/client/api.ts';
import { eventually } from '../../support/system.ts';
import { block, Plane, tenant } from './plane.ts';

let plane: Plane;
let children: ChildProcess[] = [];
beforeEach(() => {
  plane = new Plane();
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await plane.remove();
});

const moduleUrl = (path: string): string => JSON.stringify(pathToFileURL(entryPath(path)).href);

/** The same control plane in a process of its own, to be killed. */
async function upElsewhere(options: { orphanTimeoutMs?: number } = {}): Promise<ChildProcess> {
  const script = join(plane.dataDirectory, 'plane.mjs');
  writeFileSync(
    script,
    `import { createControlPlane } from ${moduleUrl('runtime/index.js')};
import { builtinPolicies } from ${moduleUrl('policies/index.js')};
const plane = await createControlPlane({
  dataDirectory: ${JSON.stringify(plane.dataDirectory)}, policies: builtinPolicies, ...${JSON.stringify(options)},
});
process.on('message', async ({ call, args }) => {
  const value = await plane[call]('${tenant}', ...args).catch((error) => ({ error: error.message }));
  process.send({ value });
});
process.send({ value: 'up' });
`,
  );
  const child = fork(script);
  children.push(child);
  await once(child, 'message');
  return child;
}

async function ask(child: ChildProcess, call: string, ...args: unknown[]): Promise<unknown> {
  child.send({ call, args });
  const [{ value }] = (await once(child, 'message')) as [{ value: unknown }];
  return value;
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Declares a cluster and component here, gives them to a plane elsewhere, and runs two blocks there. */
async function runningElsewhere(options: { orphanTimeoutMs?: number } = {}) {
  await plane.up();
  await plane.declare();
  await plane.down();
  const child = await upElsewhere(options);
  await ask(child, 'create', 'block', block('one'));
  await ask(child, 'create', 'block', block('two', { minInstances: 2 }));
  const instances = await eventually('both blocks to run', async () => {
    const status = (await ask(child, 'status')) as Awaited<ReturnType<Plane['status']>>;
    return (
      status.blocks.length === 2 &&
      status.blocks.every(({ state }) => state === 'running') &&
      status.blocks.flatMap((b) => b.instances)
    );
  });
  return { child, instances };
}

const byId = (instances: readonly InstanceStatus[]) =>
  instances.map(({ id, pid }) => `${id} ${pid}`).sort();

/** Documents, processes and ledger say the same. */
async function assertAccounted(): Promise<void> {
  const { blocks, clusters } = await plane.status();
  const instances = blocks.flatMap((b) => b.instances);
  const pids = (await plane.processes()).map(({ pid }) => pid);
  expect(pids.sort()).toEqual(instances.map(({ pid }) => pid).sort());
  const promised = clusters.flatMap(({ nodes }) =>
    nodes.map(({ capacity, free }) => capacity.memoryBytes - free.memoryBytes),
  );
  const used = instances.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  expect(promised.reduce((sum, bytes) => sum + bytes, 0)).toBe(used);
}

const allRunning = () =>
  eventually('all blocks to run', async () => {
    const { blocks } = await plane.status();
    return blocks.length === 2 && blocks.every(({ state }) => state === 'running');
  });

test('after a kill of the control plane everything is back, with the same processes', async () => {
  const { child, instances } = await runningElsewhere();
  await kill(child);

  await plane.up();

  await allRunning();
  expect(byId(await plane.instances())).toEqual(byId(instances));
  await assertAccounted();
});

test('instances that died meanwhile are replaced', async () => {
  const { child, instances } = await runningElsewhere();
  await kill(child);
  for (const { pid, blockId } of instances) if (blockId === 'two') process.kill(pid!, 'SIGKILL');

  await plane.up();

  await allRunning();
  const now = await plane.instances();
  const survivor = instances.filter(({ blockId }) => blockId === 'one');
  expect(byId(now.filter(({ blockId }) => blockId === 'one'))).toEqual(byId(survivor));
  expect(now.filter(({ blockId }) => blockId === 'two').map(({ id }) => id)).not.toContain(
    instances.find(({ blockId }) => blockId === 'two')!.id,
  );
  await assertAccounted();
});

test('an adopted instance heals and ends like any other', async () => {
  const { child, instances } = await runningElsewhere();
  await kill(child);
  await plane.up();
  await allRunning();
  const one = instances.find(({ blockId }) => blockId === 'one')!;

  process.kill(one.pid!, 'SIGKILL');

  await eventually('another instance', async () => {
    const { state, instances: now } = await plane.block('one');
    return state === 'running' && now[0]?.id !== one.id;
  });
  await plane.api.delete(tenant, 'block', 'two');
  await assertAccounted();
});

test('an instance that does not know our secret is ended and replaced, not used', async () => {
  const { child, instances } = await runningElsewhere();
  await kill(child);
  const one = instances.find(({ blockId }) => blockId === 'one')!;
  const store = createSqliteStore(join(plane.dataDirectory, 'aios.db'));
  const key = { tenant, kind: 'instance', id: one.id } as const;
  const document = await store.get<Record<string, unknown>>(key);
  const value = { ...document?.value, secret: '0'.repeat(64) };
  await store.commit([{ ...key, type: 'put', value }]);
  await store.close();

  await plane.up();

  await eventually('another instance of block one', async () => {
    const { state, instances: now } = await plane.block('one');
    return state === 'running' && now[0]?.id !== one.id;
  });
  await allRunning();
  await assertAccounted();
});

test('a kill while instances start leaves nothing half-made', async () => {
  await plane.up();
  await plane.declare();
  await plane.down();
  const child = await upElsewhere();
  await ask(child, 'create', 'block', block('one'));
  await ask(child, 'create', 'block', block('two', { minInstances: 3 }));
  await eventually('a first process', async () => (await plane.processes()).length > 0);
  await kill(child);

  await plane.up();

  await allRunning();
  await assertAccounted();
});

test('a deletion that a kill interrupted is finished', async () => {
  const { child } = await runningElsewhere();
  child.send({ call: 'delete', args: ['block', 'two'] });
  await eventually('the deletion to be stored', async () => {
    const status = (await ask(child, 'blockStatus', 'two').catch(() => undefined)) as
      | { state?: string; error?: string }
      | undefined;
    return status?.state === 'deleting' || status?.error;
  });
  await kill(child);

  await plane.up();

  await eventually('block two to be gone', async () => (await plane.status()).blocks.length === 1);
  await eventually('block one to run', async () => (await plane.block('one')).state === 'running');
  await assertAccounted();
});

test('without another control plane instances end themselves', async () => {
  const { child } = await runningElsewhere({ orphanTimeoutMs: 1000 });
  await kill(child);

  await eventually('no process', async () => (await plane.processes()).length === 0);
});

test('a clean end stops every process, and the next start brings the blocks back', async () => {
  await plane.up();
  await plane.declare();
  await plane.api.create(tenant, 'block', block('one'));
  await plane.api.create(tenant, 'block', block('two'));
  await allRunning();
  await plane.down();
  expect(await plane.processes()).toEqual([]);
  expect(readdirSync(join(plane.dataDirectory, 'instances'))).toEqual([]);

  await plane.up();

  await allRunning();
  expect((await plane.api.explain(tenant, 'one'))[0]).toMatchObject({ reason: 'restart' });
  await assertAccounted();
});

test('close may be called twice, and frees the directory', async () => {
  await plane.up();
  const { api } = plane;

  await Promise.all([api.close(), api.close()]);

  await expect(api.status(tenant)).rejects.toMatchObject({ code: 'CLOSED' });
  await plane.up();
});

test('a second control plane on the directory is refused and disturbs nothing', async () => {
  const { child, instances } = await runningElsewhere();

  await expect(plane.up()).rejects.toMatchObject({
    code: 'STORE_LOCKED',
    details: { pid: child.pid },
  });

  const status = (await ask(child, 'status')) as Awaited<ReturnType<Plane['status']>>;
  expect(byId(status.blocks.flatMap((b) => b.instances))).toEqual(byId(instances));
});

test('a damaged database, a file for a directory and missing default policies are told apart', async () => {
  mkdirSync(join(plane.dataDirectory, 'damaged'));
  writeFileSync(join(plane.dataDirectory, 'damaged', 'aios.db'), 'not a database '.repeat(500));
  writeFileSync(join(plane.dataDirectory, 'file'), '');
  const opening = (name: string, policies: typeof builtinPolicies | readonly []) =>
    createControlPlane({ dataDirectory: join(plane.dataDirectory, name), policies });

  await expect(opening('damaged', builtinPolicies)).rejects.toMatchObject({
    code: 'STORE_CORRUPT',
  });
  await expect(opening('file', builtinPolicies)).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
  });
  await expect(opening('fresh', [])).rejects.toMatchObject({ code: 'POLICY_DEFAULT_MISSING' });
  await (await opening('fresh', builtinPolicies)).close();
});
