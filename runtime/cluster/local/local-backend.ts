import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AiosError, BlockError, PlacementError } from '../../../sdk/errors.ts';
import { instanceId as checkInstanceId } from '../../../sdk/ids.ts';
import { formatDuration } from '../../../sdk/units.ts';
import { entryPath } from '../../entry.ts';
import { processStartTime } from '../../instance/index.ts';
import type {
  ClusterBackend,
  InstanceEvent,
  InstanceProcess,
  InstanceStart,
  KnownInstance,
} from '../backend.ts';
import { prepareFolder, readProcessFile } from './instance-folder.ts';
import { lastLines, limitLog, noteLog, pruneLogs, readLog } from './instance-log.ts';
import { createNodeMeter, type MeteredProcess } from './node-meter.ts';
import { endGroup, processesWith, processUsage, signalProcess } from './processes.ts';
import { createRunning, type Place, type Running, removeFolder } from './running.ts';
import { spawnInstance } from './spawn-instance.ts';

export interface LocalBackendOptions {
  /** Absolute. Instances live in `instances/<id>/`, their output in `logs/<id>.log`. */
  readonly dataDirectory: string;
  /** Names this data directory on the command line of everything it starts. */
  readonly dataId: string;
  /** Path of an artifact whose content has been checked. */
  readonly artifactPath: (hash: string) => Promise<string>;
  /** JavaScript that a process runs. @default the instance host of this package */
  readonly entry?: string;
  /** How long a process may take until its server listens. @default 30000 */
  readonly startTimeoutMs?: number;
}

const readyPollMs = 25;
const adoptedPollMs = 250;
const logLimitPollMs = 10_000;
const strayWaitMs = 10_000;
/** Runs a cluster on this machine: its nodes are groups of child processes with a declared capacity. */
export async function createLocalBackend(options: LocalBackendOptions): Promise<ClusterBackend> {
  const { dataDirectory, dataId, artifactPath, startTimeoutMs = 30_000 } = options;
  const entry = options.entry ?? entryPath('runtime/instance/main.js');
  const marker = `--aios-data=${dataId}`;
  const instancesFolder = join(dataDirectory, 'instances');
  const logsFolder = join(dataDirectory, 'logs');
  for (const folder of [instancesFolder, logsFolder]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  }
  const meter = createNodeMeter(dataDirectory);
  const running = new Map<string, Running>();
  const listeners = new Set<(event: InstanceEvent) => void>();
  const notes = new Set<Promise<void>>();
  let closing = false;

  const logPathOf = (id: string): string => join(logsFolder, `${checkInstanceId(id)}.log`);
  const emit = (event: InstanceEvent): void => {
    for (const listener of [...listeners]) {
      try {
        listener(event);
      } catch (error) {
        // A listener's own fault must not keep an instance from being buried.
        process.emitWarning(error instanceof Error ? error : String(error));
      }
    }
  };

  function enter(instanceId: string, place: Place): Running {
    const logPath = logPathOf(instanceId);
    const folder = join(instancesFolder, instanceId);
    const instance = createRunning(instanceId, place, { folder, logPath });
    running.set(instanceId, instance);
    return instance;
  }

  async function leave(instance: Running): Promise<void> {
    await removeFolder(instance);
    running.delete(instance.instanceId);
    instance.resolveGone();
  }

  async function ended(instance: Running, exitCode: number | null, signal: string | null) {
    const { pid } = instance;
    delete instance.pid;
    // What the instance itself started must not outlive it.
    if (pid !== undefined) await endGroup(pid);
    const lines = await lastLines(instance.logPath, 20).catch(() => []);
    await leave(instance);
    emit({
      type: 'instance-exited',
      instanceId: instance.instanceId,
      exitCode,
      signal,
      ...(instance.endedFor === undefined ? {} : { endedFor: instance.endedFor }),
      lastLines: lines,
    });
  }

  async function awaitReady(instance: Running): Promise<void> {
    const deadline = Date.now() + startTimeoutMs;
    while (running.get(instance.instanceId) === instance && !instance.stopping) {
      const process = await readProcessFile(instance.folder);
      if (process) {
        if (running.get(instance.instanceId) === instance) {
          emit({ type: 'instance-ready', instanceId: instance.instanceId, process });
        }
        return;
      }
      if (Date.now() > deadline) {
        instance.endedFor = `did not listen within ${formatDuration(startTimeoutMs)}`;
        if (instance.pid !== undefined) signalProcess(instance.pid, 'SIGKILL');
        return;
      }
      await sleep(readyPollMs);
    }
  }

  async function start(request: InstanceStart): Promise<void> {
    const { instanceId } = request.boot;
    if (closing) throw new AiosError('CLOSED', 'The control plane is shutting down.');
    if (running.has(instanceId)) {
      throw new BlockError('INSTANCE_START_FAILED', `Instance '${instanceId}' runs already.`);
    }
    const instance = enter(instanceId, request.boot);
    try {
      await prepareFolder(instance.folder, request.files, artifactPath);
      if (instance.stopping) throw new AiosError('CANCELLED', 'it was stopped before it began');
      const child = await spawnInstance({
        entry,
        arguments: [marker, `--instance=${instanceId}`],
        folder: instance.folder,
        logPath: instance.logPath,
        boot: request.boot,
      });
      instance.pid = child.pid;
      void child.exit.then(({ exitCode, signal }) => ended(instance, exitCode, signal));
    } catch (error) {
      await leave(instance);
      const reason = AiosError.from(error);
      throw new BlockError(
        'INSTANCE_START_FAILED',
        `Instance '${instanceId}' of block '${request.boot.blockId}' could not be started: ${reason.message}`,
        { cause: error, details: { instanceId, reason: reason.code } },
      );
    }
    // A stop that came while the process was being spawned had no pid to signal.
    if (instance.stopping && instance.pid !== undefined) signalProcess(instance.pid, 'SIGKILL');
    void awaitReady(instance);
  }

  /** The pid of a process that is not our child may have gone to a stranger since it was last looked at. */
  async function signalInstance({ pid, adopted }: Running, signal: NodeJS.Signals): Promise<void> {
    if (pid === undefined || (adopted && !(await isAlive(adopted)))) return;
    signalProcess(pid, signal);
  }

  async function stop(
    instanceId: string,
    { graceMs }: { readonly graceMs: number },
  ): Promise<void> {
    const instance = running.get(instanceId);
    if (!instance) return;
    instance.stopping = true;
    await signalInstance(instance, 'SIGTERM');
    const kill = setTimeout(() => void signalInstance(instance, 'SIGKILL'), graceMs);
    await instance.gone;
    clearTimeout(kill);
  }

  const isAlive = async ({ pid, startTime }: InstanceProcess): Promise<boolean> =>
    // A zombie still has its start time, but uses nothing any more.
    (await processStartTime(pid)) === startTime && (await processUsage(pid)) !== undefined;

  async function pollAdopted(): Promise<void> {
    for (const instance of [...running.values()]) {
      if (!instance.adopted || (await isAlive(instance.adopted))) continue;
      if (running.get(instance.instanceId) === instance) {
        delete instance.adopted;
        await ended(instance, null, null);
      }
    }
  }

  /** Ends everything of this data directory that is not kept, and waits until it is gone. */
  async function endStrays(kept: ReadonlySet<number>): Promise<void> {
    const deadline = Date.now() + strayWaitMs;
    for (;;) {
      const strays = (await processesWith(marker)).filter(({ pid }) => !kept.has(pid));
      if (strays.length === 0) return;
      if (Date.now() > deadline) {
        throw new AiosError(
          'INTERNAL',
          `Processes ${strays.map(({ pid }) => pid).join(', ')} of an earlier run do not end. End them, then start again.`,
        );
      }
      for (const { pid } of strays) signalProcess(pid, 'SIGKILL');
      await sleep(readyPollMs);
    }
  }

  async function adopt(known: readonly KnownInstance[]) {
    const commands = new Map(
      (await processesWith(marker)).map(({ pid, command }) => [pid, command]),
    );
    const adopted = new Map<string, InstanceProcess>();
    for (const { instanceId, process: recorded, ...place } of known) {
      const found = recorded ?? (await readProcessFile(join(instancesFolder, instanceId)));
      if (!found || !` ${commands.get(found.pid)} `.includes(` --instance=${instanceId} `))
        continue;
      if (!(await isAlive(found))) continue;
      const instance = enter(instanceId, place);
      instance.pid = found.pid;
      instance.adopted = found;
      adopted.set(instanceId, found);
    }
    await endStrays(new Set([...adopted.values()].map(({ pid }) => pid)));
    for (const name of await readdir(instancesFolder)) {
      if (!adopted.has(name))
        await rm(join(instancesFolder, name), { recursive: true, force: true });
    }
    return adopted;
  }

  const processesOf = (tenant: string, clusterId: string): readonly MeteredProcess[] =>
    [...running.values()].flatMap(({ instanceId, nodeId, pid, ...instance }) =>
      pid !== undefined && instance.tenant === tenant && instance.clusterId === clusterId
        ? [{ instanceId, nodeId, pid }]
        : [],
    );

  async function tidyLogs(): Promise<void> {
    for (const { logPath } of [...running.values()]) await limitLog(logPath);
    await pruneLogs(logsFolder, new Set(running.keys()));
  }

  const adoptedTimer = setInterval(() => void pollAdopted(), adoptedPollMs).unref();
  const logTimer = setInterval(() => {
    // A full disk, a file that went meanwhile: it is tried again.
    tidyLogs().catch((error: Error) => process.emitWarning(error));
  }, logLimitPollMs).unref();

  return {
    name: 'local',
    runs: ['stage', 'graph', 'code'],
    start,
    stop,
    adopt,
    measure: (tenant, cluster) => meter(tenant, cluster, processesOf(tenant, cluster.id)),
    async check(cluster) {
      const ids = new Set(cluster.nodes.map(({ id }) => id));
      if (ids.size === cluster.nodes.length && cluster.nodes.every((node) => node.memoryBytes > 0))
        return;
      throw new PlacementError(
        'NO_CANDIDATE',
        `Cluster '${cluster.id}' cannot be local: its nodes need different ids and more than 0 bytes of memory each.`,
      );
    },
    async usage(instanceId) {
      const pid = running.get(instanceId)?.pid;
      const used = pid === undefined ? undefined : await processUsage(pid);
      return used && { atMs: Date.now(), ...used };
    },
    watch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    logs: (instanceId, { tail, follow, signal }) =>
      readLog(logPathOf(instanceId), { tail, follow, signal }),
    note(instanceId, line) {
      const writing = noteLog(logPathOf(instanceId), line).finally(() => notes.delete(writing));
      notes.add(writing);
    },
    async close() {
      closing = true;
      await Promise.all([...running.keys()].map((id) => stop(id, { graceMs: 2000 })));
      clearInterval(adoptedTimer);
      clearInterval(logTimer);
      listeners.clear();
      await Promise.all(notes);
    },
  };
}
