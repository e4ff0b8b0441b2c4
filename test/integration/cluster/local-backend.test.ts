import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type ClusterBackend,
  createLocalBackend,
  type InstanceEvent,
  type InstanceProcess,
  type InstanceStart,
  type KnownInstance,
} from '../../../runtime/cluster/index.ts';
import { processesWith } from '../../../runtime/cluster/local/processes.ts';
import { entryPath } from '../../../runtime/entry.ts';
import { clusterSpec } from '../../../sdk/spec/cluster.ts';
import { writeInstanceScript } from './instance-script.ts';

const dataId = 'test-data-id';
let folder: string;
let entry: string;
let backends: ClusterBackend[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aios-local-'));
  entry = writeInstanceScript(folder);
});
afterEach(async () => {
  for (const backend of backends) await backend.close();
  backends = [];
  for (const { pid } of await ours()) process.kill(pid, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const marker = (): string => `--aios-data=${dataId}-${folder.slice(-6)}`;
const ours = () => processesWith(marker());

async function open(options: { startTimeoutMs?: number } = {}): Promise<ClusterBackend> {
  const backend = await createLocalBackend({
    dataDirectory: folder,
    dataId: marker().slice('--aios-data='.length),
    entry,
    artifactPath: async (hash) => join(folder, hash.replace(':', '-')),
    ...options,
  });
  backends.push(backend);
  return backend;
}

function artifact(text: string): string {
  const hash = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  writeFileSync(join(folder, hash.replace(':', '-')), text);
  return hash;
}

function starting(
  instanceId: string,
  settings: Record<string, unknown> = {},
  files: InstanceStart['files'] = [],
): InstanceStart {
  return {
    files,
    boot: {
      tenant: 'default',
      instanceId,
      blockId: 'ocr',
      clusterId: 'c',
      nodeId: 'n1',
      secret: 'ab'.repeat(32),
      orphanTimeoutMs: 30_000,
      gpus: [],
      threads: 1,
      workload: {
        type: 'code',
        file: 'block.mjs',
        entry: 'default',
        initData: {},
        settings,
        parameters: {},
      },
    },
  };
}

function next<T extends InstanceEvent['type']>(backend: ClusterBackend, type: T) {
  return new Promise<Extract<InstanceEvent, { type: T }>>((resolve) => {
    const stop = backend.watch((event) => {
      if (event.type !== type) return;
      stop();
      resolve(event as Extract<InstanceEvent, { type: T }>);
    });
  });
}

async function started(backend: ClusterBackend, start: InstanceStart): Promise<InstanceProcess> {
  const ready = next(backend, 'instance-ready');
  await backend.start(start);
  return (await ready).process;
}

async function lines(backend: ClusterBackend, id: string, tail = 100): Promise<string[]> {
  const all: string[] = [];
  const options = { tail, follow: false, signal: AbortSignal.timeout(10_000) };
  for await (const line of backend.logs(id, options)) all.push(line);
  return all;
}

const known = (instanceId: string, process?: InstanceProcess): KnownInstance => ({
  tenant: 'default',
  instanceId,
  clusterId: 'c',
  nodeId: 'n1',
  ...(process ? { process } : {}),
});

test('an instance starts in a folder with its artifacts linked, tells how to reach it, and stops', async () => {
  const backend = await open();
  const file = { name: 'block.mjs', hash: artifact('export default 1') };

  const { pid, address } = await started(backend, starting('ocr-1', {}, [file]));

  const linked = statSync(join(folder, 'instances', 'ocr-1', 'block.mjs'));
  expect(linked.nlink).toBe(2);
  expect(statSync(join(folder, 'instances', 'ocr-1')).mode & 0o777).toBe(0o700);
  expect(address).toBe('127.0.0.1:1');
  expect((await backend.usage('ocr-1'))?.residentBytes).toBeGreaterThan(1e6);

  const exited = next(backend, 'instance-exited');
  await backend.stop('ocr-1', { graceMs: 10_000 });

  expect(await exited).toMatchObject({ instanceId: 'ocr-1', exitCode: 0 });
  expect(() => process.kill(pid, 0)).toThrow();
  expect(existsSync(join(folder, 'instances', 'ocr-1'))).toBe(false);
  expect(await backend.usage('ocr-1')).toBeUndefined();
});

test('no credential of the environment reaches an instance, nor does its command line hold the secret', async () => {
  process.env.SECRET_API_KEY = 'do not pass on';
  const backend = await open();
  const start = starting('ocr-1');
  await started(backend, start);
  delete process.env.SECRET_API_KEY;

  const log = (await lines(backend, 'ocr-1')).join('\n');

  expect(log).toContain('environment: ');
  expect(log).not.toContain('SECRET_API_KEY');
  const [own] = await ours();
  expect(own?.command).toContain('--instance=ocr-1');
  expect(own?.command).not.toContain(start.boot.secret);
});

test('an instance that cannot start exits with its last lines', async () => {
  const backend = await open();
  const exited = next(backend, 'instance-exited');

  await backend.start(starting('ocr-1', { failAtStart: 'no weights' }));

  const event = await exited;
  expect(event).toMatchObject({ exitCode: 3 });
  expect(event.lastLines).toContain('cannot start: no weights');
});

test('an instance that never says how to reach it is ended', async () => {
  const backend = await open({ startTimeoutMs: 300 });
  const exited = next(backend, 'instance-exited');

  await backend.start(starting('ocr-1', { neverReady: true }));

  expect(await exited).toMatchObject({
    ...{ signal: 'SIGKILL', endedFor: 'did not listen within 300 ms' },
  });
});

test('an artifact that is missing or a hostile file name fails the start and leaves nothing', async () => {
  const backend = await open();

  for (const file of [
    { name: 'a', hash: `sha256:${'0'.repeat(64)}` },
    { name: '../evil', hash: artifact('x') },
    { name: 'instance.json', hash: artifact('x') },
  ]) {
    await expect(backend.start(starting('ocr-1', {}, [file]))).rejects.toMatchObject({
      code: 'INSTANCE_START_FAILED',
    });
  }
  expect(readdirSync(join(folder, 'instances'))).toEqual([]);
  expect(await ours()).toEqual([]);
});

test('the exit of a killed instance is seen, and what it had started ends with it', async () => {
  const backend = await open();
  const { pid } = await started(backend, starting('ocr-1', { child: true }));
  const group = (): string[] =>
    readdirSync('/proc').filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1];
        const [state, , groupId] = stat?.split(' ') ?? [];
        // A container without an init keeps zombies.
        return groupId === String(pid) && state !== 'Z';
      } catch {
        return false;
      }
    });
  if (process.platform === 'linux') expect(group()).toHaveLength(2);

  const exited = next(backend, 'instance-exited');
  process.kill(pid, 'SIGKILL');

  expect(await exited).toMatchObject({ signal: 'SIGKILL', exitCode: null });
  if (process.platform === 'linux') {
    await expect.poll(() => group().length).toBe(0);
  }
});

test('an instance deaf to SIGTERM is killed past the grace', async () => {
  const backend = await open();
  await started(backend, starting('ocr-1', { ignoreTerm: true }));

  await backend.stop('ocr-1', { graceMs: 200 });

  expect(await ours()).toEqual([]);
});

test('a stop during a start leaves no process', async () => {
  const backend = await open();
  const start = backend.start(starting('ocr-1')).catch((error) => error.code);
  await backend.stop('ocr-1', { graceMs: 5000 });
  await start;

  await backend.stop('ocr-1', { graceMs: 5000 });

  expect(await ours()).toEqual([]);
});

test('each node is measured by what its processes use', async () => {
  const backend = await open();
  const nodes = [
    { id: 'n1', memoryBytes: 1e9, cpuCores: 1 },
    { id: 'n2', memoryBytes: 1e9, cpuCores: 1 },
  ];
  const cluster = clusterSpec.parse({ id: 'c', nodes });
  await started(backend, starting('ocr-1'));

  const measured = await backend.measure('default', cluster);

  expect(measured.get('n1')).toMatchObject({ processes: 1 });
  expect(measured.get('n1')?.memoryUsedBytes).toBeGreaterThan(1e6);
  expect(measured.get('n2')).toMatchObject({ processes: 0, memoryUsedBytes: 0 });
});

test('a cluster whose nodes share an id is refused', async () => {
  const backend = await open();
  const node = { id: 'n1', memoryBytes: 1e9, cpuCores: 1 };

  await expect(
    backend.check(clusterSpec.parse({ id: 'c', nodes: [node, node] })),
  ).rejects.toMatchObject({ code: 'NO_CANDIDATE' });
});

test('logs give the last lines, follow new ones, and stop when aborted', async () => {
  const backend = await open();
  await started(backend, starting('ocr-1', { chatter: 3 }));
  const controller = new AbortController();
  const seen: string[] = [];

  const options = { tail: 1, follow: true, signal: controller.signal };
  for await (const line of backend.logs('ocr-1', options)) {
    seen.push(line);
    if (seen.length > 20) controller.abort();
  }

  expect(seen.filter((line) => line === 'xxx').length).toBeGreaterThan(15);
  expect(await lines(backend, 'ocr-1', 2)).toHaveLength(2);
  await expect(lines(backend, 'never-was')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(() => backend.logs('../secret', options)).toThrow();
});

test('a control plane that was killed: its instances are taken back, strays end', async () => {
  const script = join(folder, 'plane.mjs');
  const clusterModule = pathToFileURL(entryPath('runtime/cluster/index.js')).href;
  const options = { dataDirectory: folder, dataId: marker().slice('--aios-data='.length), entry };
  writeFileSync(
    script,
    `import { createLocalBackend } from ${JSON.stringify(clusterModule)};
const backend = await createLocalBackend({ ...${JSON.stringify(options)}, artifactPath: async () => '' });
backend.watch((event) => process.send(event));
for (const start of ${JSON.stringify([starting('kept'), starting('unrecorded'), starting('stray')])}) await backend.start(start);
`,
  );
  const plane = fork(script);
  const processes = new Map<string, InstanceProcess>();
  plane.on('message', (event: InstanceEvent) => {
    if (event.type === 'instance-ready') processes.set(event.instanceId, event.process);
  });
  await expect.poll(() => processes.size, { timeout: 20_000 }).toBe(3);
  plane.kill('SIGKILL');
  await once(plane, 'exit');
  expect(await ours()).toHaveLength(3);

  const backend = await open();
  const wrongPid = { ...processes.get('kept')!, startTime: 'another process' };
  const adopted = await backend.adopt([
    known('kept', processes.get('kept')),
    known('unrecorded'),
    known('gone', wrongPid),
  ]);

  expect([...adopted.keys()].sort()).toEqual(['kept', 'unrecorded']);
  expect((await ours()).map(({ pid }) => pid).sort()).toEqual(
    [processes.get('kept')!.pid, processes.get('unrecorded')!.pid].sort(),
  );
  expect(readdirSync(join(folder, 'instances')).sort()).toEqual(['kept', 'unrecorded']);

  const exited = next(backend, 'instance-exited');
  process.kill(processes.get('kept')!.pid, 'SIGKILL');
  expect(await exited).toMatchObject({ instanceId: 'kept' });
  await backend.stop('unrecorded', { graceMs: 10_000 });
  expect(await ours()).toEqual([]);
});

test('close ends every instance', async () => {
  const backend = await open();
  await started(backend, starting('ocr-1'));
  await started(backend, starting('ocr-2'));

  await backend.close();

  expect(await ours()).toEqual([]);
  await expect(backend.start(starting('ocr-3'))).rejects.toMatchObject({ code: 'CLOSED' });
});

test('a line of the platform stands in an instance’s log, on one line, also after its end', async () => {
  const backend = await open();
  await started(backend, starting('ocr-1'));
  await backend.stop('ocr-1', { graceMs: 10_000 });

  backend.note('ocr-1', 'it was ended\n  for a test');
  await backend.close();

  expect((await lines(backend, 'ocr-1')).at(-1)).toBe('[aios] it was ended for a test');
});

test('a log that grew too long is cut and keeps its end', async () => {
  const { limitLog } = await import('../../../runtime/cluster/local/instance-log.ts');
  const path = join(folder, 'long.log');
  for (let n = 0; n < 9; n += 1) appendFileSync(path, `${'x'.repeat(1023)}\n`.repeat(1024));
  appendFileSync(path, 'the last line\n');

  await limitLog(path);

  expect(statSync(path).size).toBeLessThan(2 * 2 ** 20);
  expect(readFileSync(path, 'utf8').endsWith('the last line\n')).toBe(true);
});
