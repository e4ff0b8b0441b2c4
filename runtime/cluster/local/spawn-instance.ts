import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { childEnvironment } from '../../child-environment.ts';
import type { InstanceBoot } from '../backend.ts';

/**
 * A shard's memory is promised to the megabyte, and its steps leave little garbage: so its young generation stays small, and
 * its threads share the C library's heap. Authors' code runs with what Node gives it.
 */
const shardFlags = ['--max-semi-space-size=2'];
const shardEnvironment = { MALLOC_ARENA_MAX: '2' };

export interface Spawn {
  readonly entry: string;
  readonly arguments: readonly string[];
  readonly folder: string;
  readonly logPath: string;
  /** Goes over standard input: command lines and environments are readable by others. */
  readonly boot: InstanceBoot;
}

export interface Exit {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

export interface Spawned {
  readonly pid: number;
  readonly exit: Promise<Exit>;
}

/** Resolves once the process exists. Its output goes straight into the log file, so it needs us for nothing. */
export async function spawnInstance(request: Spawn): Promise<Spawned> {
  const log = await open(request.logPath, 'a', 0o600);
  try {
    // Detached: an instance outlives a control plane that was killed and is taken back by the next one.
    const isShard = request.boot.workload.type === 'stage';
    const flags = isShard ? shardFlags : [];
    const child = spawn(process.execPath, [...flags, request.entry, ...request.arguments], {
      cwd: request.folder,
      env: { ...childEnvironment(), ...(isShard ? shardEnvironment : {}) },
      detached: true,
      stdio: ['pipe', log.fd, log.fd],
    });
    // Listened for from the first: it may be gone before anybody has asked.
    const exit = new Promise<Exit>((resolve) => {
      child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.on('error', reject);
    });
    // It may die before it has read its boot document; its exit tells.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(JSON.stringify(request.boot));
    return { pid: child.pid as number, exit };
  } finally {
    await log.close();
  }
}
