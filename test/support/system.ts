import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { BlockStatus, InstanceStatus, SystemStatus } from '../../sdk/client/api.ts';

export const repository = resolve(import.meta.dirname, '../..');
export { tinyAssistantFolder as tinyAssistant } from './tiny-assistant.ts';

const launcher = join(repository, 'bin/aios.js');

export interface CliResult {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one `aios` command to its end, as a user would. */
export function aios(
  args: readonly string[],
  options: { input?: string; url?: string } = {},
): Promise<CliResult> {
  return new Promise((done) => {
    const child = execFile(
      process.execPath,
      [launcher, ...args],
      {
        env: { ...process.env, ...(options.url ? { AIOS_URL: options.url } : {}), NO_COLOR: '1' },
        maxBuffer: 64 << 20,
      },
      (error, out, err) => done({ exitCode: error ? Number(error.code ?? 1) : 0, out, err }),
    );
    child.stdin?.end(options.input ?? '');
  });
}

/** A control plane of its own process, with a data directory of its own. */
export class System {
  readonly dataDirectory: string;
  url = '';
  #process: ChildProcess | undefined;
  #log = '';

  private constructor(dataDirectory: string) {
    this.dataDirectory = dataDirectory;
  }

  static async start(): Promise<System> {
    const system = new System(mkdtempSync(join(tmpdir(), 'aios-e2e-')));
    await system.up();
    return system;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get log(): string {
    return this.#log;
  }

  async up(...flags: string[]): Promise<void> {
    const args = [
      launcher,
      'up',
      '--port',
      '0',
      '--data-dir',
      this.dataDirectory,
      '--json',
      ...flags,
    ];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    child.stderr.on('data', (bytes) => {
      this.#log += bytes;
    });
    const line = await new Promise<string>((done, fail) => {
      createInterface({ input: child.stdout }).once('line', done);
      child.once('exit', (code) => fail(new Error(`aios up ended with ${code}: ${this.#log}`)));
    });
    this.url = (JSON.parse(line) as { url: string }).url;
  }

  async signal(name: NodeJS.Signals): Promise<number | null> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null)
      return child?.exitCode ?? null;
    const exited = once(child, 'exit') as Promise<[number | null]>;
    child.kill(name);
    return (await exited)[0];
  }

  /** Stops, checks that nothing of ours runs on, and removes the data directory. */
  async stop(): Promise<void> {
    await this.signal('SIGTERM');
    for (const { pid } of this.processes()) process.kill(pid, 'SIGKILL');
    rmSync(this.dataDirectory, { recursive: true, force: true });
  }

  aios(...args: string[]): Promise<CliResult> {
    return aios(args, { url: this.url });
  }

  /** A command that must succeed. @returns its JSON */
  async json<T = unknown>(...args: string[]): Promise<T> {
    const result = await this.aios(...args, '--json');
    if (result.exitCode !== 0)
      throw new Error(`aios ${args.join(' ')}: ${result.exitCode}\n${result.err}${result.out}`);
    return JSON.parse(result.out) as T;
  }

  async status(): Promise<SystemStatus> {
    const response = await fetch(`${this.url}/api/status`);
    return (await response.json()) as SystemStatus;
  }

  async block(id: string): Promise<BlockStatus | undefined> {
    return (await this.status()).blocks.find((block) => block.spec.id === id);
  }

  async instances(): Promise<InstanceStatus[]> {
    return (await this.status()).blocks.flatMap((block) => block.instances);
  }

  /** One cluster of `count` nodes. */
  async cluster(id: string, count: number, memoryBytes: number, cpuCores = 2): Promise<void> {
    const nodes = Array.from({ length: count }, (_, i) => ({
      id: `${id}-${i}`,
      memoryBytes,
      cpuCores,
    }));
    const result = await aios(['create-cluster', '-f', '-'], {
      url: this.url,
      input: JSON.stringify({ id, nodes }),
    });
    if (result.exitCode !== 0) throw new Error(result.err);
  }

  /** Splits a model and creates its plan. @returns the name to ask the gateway for */
  async model(folder: string, shards: number, ...flags: string[]): Promise<string> {
    const out = mkdtempSync(join(tmpdir(), 'aios-plan-'));
    try {
      await this.json(
        'split',
        folder,
        '--shards',
        String(shards),
        '--out',
        join(out, 'plan'),
        ...flags,
      );
      return (await this.json<{ model: string }>('create-plan', join(out, 'plan'), '--wait')).model;
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  }

  /** Every process that ran from this data directory, found from outside (Linux). */
  processes(): { pid: number; folder: string; maps: string }[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== this.pid)
      .flatMap((name) => {
        try {
          const folder = readlinkSync(`/proc/${name}/cwd`);
          if (!folder.startsWith(this.dataDirectory)) return [];
          return [{ pid: Number(name), folder, maps: readFileSync(`/proc/${name}/maps`, 'utf8') }];
        } catch {
          return [];
        }
      });
  }
}

/** Polls until `check` gives something truthy; fails after a generous limit. */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  for (let attempt = 0; attempt < 400; attempt += 1) {
    const value = await check();
    if (value) return value;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`still not so after 20 s: ${what}`);
}
