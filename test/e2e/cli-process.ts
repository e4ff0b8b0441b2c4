import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly url?: string;
  readonly cwd?: string;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export function spawnAios(args: readonly string[], options: RunOptions = {}): ChildProcess {
  const { AIOS_API_KEY: _key, ...env } = process.env;
  return spawn(process.execPath, [main, ...args], {
    cwd: options.cwd,
    env: { ...env, ...(options.url ? { AIOS_URL: options.url } : {}), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Runs one command in a process of its own. */
export async function aios(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = spawnAios(args, options);
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk) => (out += chunk));
  child.stderr?.on('data', (chunk) => (err += chunk));
  child.stdin?.end(options.input ?? '');
  const [code] = await once(child, 'close');
  return { code, out, err };
}

export interface Up {
  readonly url: string;
  readonly pid: number;
  /** Sends the signal and waits for the end. @returns the exit code, or the signal */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

/** Starts a control plane and waits for its one line. */
export async function up(dataDirectory: string): Promise<Up> {
  const child = spawnAios(['up', '--port', '0', '--data-dir', dataDirectory, '--json']);
  const exited = once(child, 'exit');
  let err = '';
  child.stderr?.on('data', (chunk) => (err += chunk));
  const line = await Promise.race([
    once(createInterface(child.stdout as NodeJS.ReadableStream), 'line'),
    exited.then(() => Promise.reject(new Error(`aios up ended: ${err}`))),
  ]);
  return {
    ...(JSON.parse(line[0]) as { url: string }),
    pid: child.pid ?? 0,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const [code, by] = await exited;
      return code ?? by;
    },
  };
}

/** Whether a process runs. One that ended and waits for its parent to notice does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return process.platform !== 'linux';
  }
}
