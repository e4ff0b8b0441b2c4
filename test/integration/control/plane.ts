import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { builtinPolicies } from '../../../policies/index.ts';
import { processesWith } from '../../../runtime/cluster/local/processes.ts';
import {
  type ControlPlane,
  type ControlPlaneOptions,
  createControlPlane,
  type Gateway,
  startGateway,
} from '../../../runtime/index.ts';
import type { BlockStatus, InstanceStatus, SystemStatus } from '../../../sdk/client/api.ts';
import { echoRunner, FakeDriver } from '../../unit/gateway/fakes.ts';

export const tenant = 'default';
export const componentUri = 'test.echo:1.0.0-stable';

/** A block that answers with what it got, its pid, and can be told to misbehave. */
const source = `
import { defineBlock } from 'aios-sdk';
import { z } from 'zod';
let sick = false;
export default defineBlock({
  input: z.object({ text: z.string() }), output: z.unknown(),
  settings: z.object({ greeting: z.string().default('hello'), failAtStart: z.boolean().default(false) }),
  parameters: z.object({}),
  start: ({ settings, log }) => {
    log('starting with ' + settings.greeting);
    if (settings.failAtStart) throw new Error('told to fail');
  },
  health: () => ({ status: sick ? 'unhealthy' : 'healthy', reason: 'told to be sick' }),
  onData: ({ data }, { settings }) => {
    if (data.text === 'be sick') sick = true;
    if (data.text === 'exit') process.exit(9);
    return { text: settings.greeting + ' ' + data.text, pid: process.pid };
  },
});`;

export async function bundle(contents: string): Promise<Buffer> {
  const result = await build({
    stdin: { contents, resolveDir: import.meta.dirname, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    conditions: ['@aios/source'],
    external: ['node:*'],
  });
  return Buffer.from(result.outputFiles[0]!.contents);
}

export const hashOf = (bytes: Uint8Array | string): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

export const node = (id: string, memoryBytes: string | number = '256Mi') => ({
  id,
  memoryBytes,
  cpuCores: 4,
});

export const block = (id: string, more: Record<string, unknown> = {}) => ({
  id,
  componentUri,
  minInstances: 1,
  maxInstances: 4,
  resources: { memoryBytes: '100Mi', cpuCores: 0.5 },
  ...more,
});

/** A control plane on a data directory of its own, in this process. */
export class Plane {
  readonly dataDirectory: string;
  readonly log: string[] = [];
  #plane: ControlPlane | undefined;

  constructor(dataDirectory = mkdtempSync(join(tmpdir(), 'aios-control-'))) {
    this.dataDirectory = dataDirectory;
  }

  get api(): ControlPlane {
    if (!this.#plane) throw new Error('not up');
    return this.#plane;
  }

  async up(options: Partial<ControlPlaneOptions> = {}): Promise<this> {
    this.#plane = await createControlPlane({
      dataDirectory: this.dataDirectory,
      policies: builtinPolicies,
      log: (line) => this.log.push(line),
      ...options,
    });
    return this;
  }

  /** Over HTTP, for the command line; whoever asked closes it first. */
  serve(): Promise<Gateway> {
    return startGateway({
      ...{ controlPlane: this.api, driver: new FakeDriver(), runner: echoRunner },
      log: (line) => this.log.push(line),
    });
  }

  async down(): Promise<void> {
    await this.#plane?.close();
    this.#plane = undefined;
  }

  async remove(): Promise<void> {
    await this.down();
    for (const { pid } of await this.processes()) process.kill(pid, 'SIGKILL');
    rmSync(this.dataDirectory, { recursive: true, force: true });
  }

  async upload(bytes: Buffer): Promise<string> {
    const hash = hashOf(bytes);
    await this.api.artifacts.write(hash, once(bytes));
    return hash;
  }

  /** A cluster of two nodes and the component; both nodes hold two instances of 100 MiB. */
  async declare(): Promise<void> {
    const nodes = [node('n1'), node('n2')];
    await this.api.create(tenant, 'cluster', { id: 'home', nodes });
    await this.api.create(tenant, 'component', await this.component());
  }

  /** Uploads the block's code. @returns its hash */
  async code(): Promise<string> {
    return this.upload(await bundle(source));
  }

  async component(uri = componentUri, settings: Record<string, unknown> = {}) {
    const hash = await this.code();
    const [typed = '', rest = ''] = uri.split(':');
    const [version, releaseTag] = rest.split('-');
    const [componentType, name] = typed.split('.');
    return { uri, componentType, name, version, releaseTag, artifact: { hash }, settings };
  }

  status(): Promise<SystemStatus> {
    return this.api.status(tenant);
  }

  block(id: string): Promise<BlockStatus> {
    return this.api.blockStatus(tenant, id);
  }

  async instances(): Promise<readonly InstanceStatus[]> {
    return (await this.status()).blocks.flatMap(({ instances }) => instances);
  }

  /** Everything that was ever started from this data directory and still runs. */
  async processes(): Promise<readonly { readonly pid: number }[]> {
    const file = join(this.dataDirectory, 'id');
    if (!existsSync(file)) return [];
    const id = readFileSync(file, 'utf8').trim();
    const place = Buffer.from(realpathSync(this.dataDirectory)).toString('base64url');
    return processesWith(`--aios-data=${id}:${place}`);
  }
}
