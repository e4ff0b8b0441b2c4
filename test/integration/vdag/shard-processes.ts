import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InstanceBoot, InstanceProcess } from '../../../runtime/cluster/backend.ts';
import type {
  ArtifactStore,
  InstanceDirectory,
  RoutedInstance,
} from '../../../runtime/control-plane.ts';
import {
  connectInstance,
  type InstanceSelfStatus,
  mintTicket,
} from '../../../runtime/dataplane/index.ts';
import { entryPath } from '../../../runtime/entry.ts';
import { splitModel } from '../../../runtime/model/split.ts';
import { splitters } from '../../../runtime/model/splitters/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import type { SplitPlan } from '../../../sdk/spec/plan.ts';

export interface Shard {
  readonly routed: RoutedInstance;
  readonly process: ChildProcess;
  status: InstanceSelfStatus | undefined;
  readonly detach: () => void;
}

/** A split model whose shards are processes of this test, and a directory that knows one of each. */
export interface ShardProcesses {
  readonly plan: SplitPlan;
  readonly directory: InstanceDirectory & { readonly reported: string[] };
  readonly artifacts: Pick<ArtifactStore, 'path'>;
  /** What shard `index` last said of itself. */
  status(index: number): InstanceSelfStatus | undefined;
  kill(index: number): Promise<void>;
  /** Starts another instance of the shard, as a block's reconciler would. */
  restart(index: number): Promise<void>;
  close(): Promise<void>;
}

export async function startShards(modelFolder: string, count: number): Promise<ShardProcesses> {
  const folder = await mkdtemp(join(tmpdir(), 'aios-shards-'));
  const outFolder = join(folder, 'split');
  const plan = await splitModel({
    modelFolder,
    splitters,
    outFolder,
    maxSessions: 8,
    hashCachePath: join(folder, 'hashes.json'),
    plan: async ({ layers }) => ({
      firstLayers: Array.from({ length: count }, (_, index) =>
        Math.floor((index * layers.length) / count),
      ),
    }),
  });
  const shards: Shard[] = await Promise.all(
    plan.shards.map(({ folder: name }, index) => startShard(plan, join(outFolder, name), index)),
  );
  const reported: string[] = [];
  let generation = 0;

  return {
    plan,
    directory: {
      reported,
      async pick({ blockId }) {
        const shard = shards.find(({ routed }) => routed.blockId === blockId);
        if (!shard) throw new AiosError('NOT_FOUND', `block '${blockId}' does not exist.`);
        return shard.routed;
      },
      report: (instanceId) => void reported.push(instanceId),
    },
    artifacts: {
      async path(hash) {
        const file = plan.vdag.generation?.files.find((candidate) => candidate.hash === hash);
        if (!file) throw new AiosError('NOT_FOUND', `artifact '${hash}' does not exist.`);
        return join(modelFolder, file.name);
      },
    },
    status: (index) => shards[index]?.status,
    async kill(index) {
      const { process: child } = shards[index] as Shard;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
    async restart(index) {
      const name = plan.shards[index]?.folder ?? '';
      generation += 1;
      shards[index] = await startShard(plan, join(outFolder, name), index, `g${generation}`);
    },
    async close() {
      for (const { process: child, detach } of shards) {
        detach();
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const exited = once(child, 'exit');
        child.kill('SIGTERM');
        await exited;
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function startShard(
  plan: SplitPlan,
  folder: string,
  index: number,
  name = 'a',
): Promise<Shard> {
  await rm(join(folder, 'instance.json'), { force: true });
  const stage = plan.components[index]?.stage;
  const blockId = plan.blocks[index]?.id;
  if (!stage || !blockId) throw new Error(`the plan has no shard ${index}`);
  const secret = randomBytes(32).toString('hex');
  const boot: InstanceBoot = {
    tenant: 'default',
    instanceId: `${blockId}-${name}`,
    blockId,
    clusterId: 'c',
    nodeId: 'n',
    secret,
    orphanTimeoutMs: 300_000,
    gpus: [],
    threads: 1,
    workload: { type: 'stage', stage },
  };
  const child = spawn(process.execPath, [entryPath('runtime/instance/main.js')], {
    cwd: folder,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  child.stdin.end(JSON.stringify(boot));
  const { address } = await announced(folder, child);
  const routed: RoutedInstance = {
    instanceId: boot.instanceId,
    blockId,
    clusterId: 'c',
    nodeId: 'n',
    address,
    secret,
    release() {},
  };
  return attached(routed, child);
}

/** Resolves once the shard says that it is ready. */
function attached(routed: RoutedInstance, child: ChildProcess): Promise<Shard> {
  const peerId = 'control-test';
  const ticket = mintTicket(routed.secret, peerId);
  const connection = connectInstance({ address: routed.address, peerId, ticket });
  return new Promise((resolve, reject) => {
    const attachment = connection.attach({
      onReport(status) {
        shard.status = status;
        if (status.state === 'ready') resolve(shard);
        if (status.state === 'failed') reject(new Error(status.error?.message));
      },
      onDown: reject,
    });
    const detach = () => {
      attachment.close();
      connection.close();
    };
    const shard: Shard = { routed, process: child, status: undefined, detach };
  });
}

async function announced(folder: string, child: ChildProcess): Promise<InstanceProcess> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the shard ended with ${child.exitCode}`);
    try {
      return JSON.parse(await readFile(join(folder, 'instance.json'), 'utf8')) as InstanceProcess;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
