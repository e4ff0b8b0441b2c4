import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InstanceBoot, InstanceProcess } from '../../../runtime/cluster/backend.ts';
import {
  connectInstance,
  type FlowConnection,
  type InstanceSelfStatus,
  mintTicket,
} from '../../../runtime/dataplane/index.ts';
import { entryPath } from '../../../runtime/entry.ts';
import { eventually, type Hop } from './driver.ts';

export interface RunningInstance extends AsyncDisposable {
  readonly hop: Hop;
  readonly child: ChildProcess;
  readonly process: InstanceProcess;
  readonly connection: FlowConnection;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** What it wrote to standard output and standard error. */
  output(): string;
  /** Its latest report. */
  status(): InstanceSelfStatus | undefined;
  drain(): void;
  /** Gives up the lease. */
  abandon(): void;
  ready(): Promise<void>;
}

export const bootOf = (
  instanceId: string,
  workload: InstanceBoot['workload'],
  overrides: Partial<InstanceBoot> = {},
): InstanceBoot => ({
  tenant: 'default',
  instanceId,
  blockId: 'block',
  clusterId: 'cluster',
  nodeId: 'node',
  secret: randomBytes(32).toString('hex'),
  orphanTimeoutMs: 30_000,
  gpus: [],
  threads: 1,
  workload,
  ...overrides,
});

/** Starts the process, waits for its `instance.json`, and attaches to it. */
export async function startInstance(boot: InstanceBoot, folder: string): Promise<RunningInstance> {
  const child = spawn(process.execPath, [entryPath('runtime/instance/main.js')], {
    cwd: folder,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text) => {
      output += text;
    });
  }
  const exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  child.stdin.end(JSON.stringify(boot));
  const file = join(folder, 'instance.json');
  await eventually(() => {
    if (child.exitCode !== null) throw new Error(`it exited with ${child.exitCode}: ${output}`);
    return existsSync(file);
  });
  const described = JSON.parse(await readFile(file, 'utf8')) as InstanceProcess;
  const connection = connectInstance({
    address: described.address,
    peerId: 'control-test',
    ticket: mintTicket(boot.secret, 'control-test'),
  });
  let status: InstanceSelfStatus | undefined;
  const lease = connection.attach({
    onReport: (report) => {
      status = report;
    },
    onDown: () => {},
  });
  return {
    hop: { instanceId: boot.instanceId, address: described.address, secret: boot.secret },
    child,
    process: described,
    connection,
    exited,
    output: () => output,
    status: () => status,
    drain: () => lease.drain(),
    abandon: () => lease.close(),
    ready: () => eventually(() => status?.state === 'ready'),
    async [Symbol.asyncDispose]() {
      lease.close();
      connection.close();
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
    },
  };
}

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string;
}

export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'aios-instance-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
