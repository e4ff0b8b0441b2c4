import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { command, say } from './show.ts';

/** Where this package lies. */
export const packageFolder = dirname(
  createRequire(import.meta.url).resolve('aios-sdk/package.json'),
);
const bin = join(packageFolder, 'bin', 'aios.js');

/** A control plane in a process of its own, and `aios` commands that ask it. */
export interface ControlPlane {
  readonly url: string;
  readonly pid: number;
  /** Runs a command as a user would: shows it, then what it prints. */
  run(...args: string[]): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Runs `aios up` on a free port.
 *
 * @param folder - its data, its output and its log go there
 */
export async function startControlPlane(folder: string): Promise<ControlPlane> {
  const outputFile = join(folder, 'up.json');
  const output = openSync(outputFile, 'w');
  const log = openSync(join(folder, 'up.log'), 'w');
  // Detached and through files, not pipes: with --keep it outlives this process.
  const child = spawn(
    process.execPath,
    [bin, 'up', '--port', '0', '--data-dir', join(folder, 'data'), '--json'],
    { stdio: ['ignore', output, log], detached: true },
  );
  closeSync(output);
  closeSync(log);
  const exited = once(child, 'exit');

  let line = '';
  while (!line.includes('\n')) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`aios up ended:\n${await readFile(join(folder, 'up.log'), 'utf8')}`);
    }
    await sleep(50);
    line = await readFile(outputFile, 'utf8');
  }
  const { url } = JSON.parse(line) as { url: string };
  child.unref();

  return {
    url,
    pid: child.pid ?? 0,
    async run(...args) {
      command(
        `aios ${args.map((argument) => argument.replace(`${packageFolder}/`, '')).join(' ')}`,
      );
      say((await aios(args, { url, cwd: folder })).trimEnd());
    },
    async stop() {
      child.ref();
      if (child.exitCode === null) child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Runs one command. @returns what it printed */
export async function aios(
  args: readonly string[],
  { url = '', cwd }: { readonly url?: string; readonly cwd: string },
): Promise<string> {
  const colour = process.stdout.isTTY && !process.env.NO_COLOR ? { FORCE_COLOR: '1' } : {};
  const { stdout } = await promisify(execFile)(process.execPath, [bin, ...args], {
    env: { ...process.env, ...colour, AIOS_URL: url },
    cwd,
    maxBuffer: 64 * 2 ** 20,
  }).catch(({ stderr }: { stderr: string }) => {
    throw new Error(`aios ${args.join(' ')}:\n${stderr}`);
  });
  return stdout;
}
