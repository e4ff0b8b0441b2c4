import { once } from 'node:events';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  ArtifactStore,
  InstanceDirectory,
  RoutedInstance,
} from '../../../runtime/control-plane.ts';
import { splitModel } from '../../../runtime/model/split.ts';
import { splitters } from '../../../runtime/model/splitters/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import type { SplitPlan } from '../../../sdk/spec/plan.ts';
import { startProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { type Shard, startShard } from './shard-processes.ts';

/** One process, behind a way that can be cut and made slow. */
export interface Replica {
  readonly shard: Shard;
  readonly proxy: TcpProxy;
  readonly routed: RoutedInstance;
  outstanding: number;
  /** How often it was picked. */
  picked: number;
  /** A caller saw it fail: not picked until it has said something again. */
  suspectSince: InstanceStatusMark | undefined;
  readonly leaving: AbortController;
  gone: boolean;
}
type InstanceStatusMark = { readonly status: Shard['status'] };

export interface Fleet {
  readonly plan: SplitPlan;
  readonly directory: InstanceDirectory & { readonly reported: string[] };
  readonly artifacts: Pick<ArtifactStore, 'path'>;
  /** By shard, then by replica. */
  readonly replicas: readonly (readonly Replica[])[];
  /** Ends the process without a word. Nobody starts another. */
  kill(replica: Replica): Promise<void>;
  close(): Promise<void>;
}

/** Several processes of each shard of a model, found as a control plane finds them: the ready one with the fewest sessions. */
export async function startFleet(
  modelFolder: string,
  { shards: count, replicas: copies }: { readonly shards: number; readonly replicas: number },
): Promise<Fleet> {
  const folder = await mkdtemp(join(tmpdir(), 'aios-fleet-'));
  const outFolder = join(folder, 'split');
  const plan = await splitModel({
    ...{ modelFolder, splitters, outFolder, maxSessions: 8 },
    hashCachePath: join(folder, 'hashes.json'),
    plan: async ({ layers }) => ({
      firstLayers: Array.from({ length: count }, (_, index) =>
        Math.floor((index * layers.length) / count),
      ),
    }),
  });
  const startReplica = async (index: number, copy: number): Promise<Replica> => {
    const own = join(folder, `copy-${copy}`);
    await mkdir(own, { recursive: true });
    const name = plan.shards[index]?.folder ?? '';
    await cp(join(outFolder, name), join(own, name), { recursive: true });
    const shard = await startShard(plan, join(own, name), index, `r${copy}`);
    const proxy = await startProxy(shard.routed.address);
    const leaving = new AbortController();
    const routed = { ...shard.routed, address: proxy.address, leaving: leaving.signal };
    return {
      ...{ shard, proxy, routed, leaving, outstanding: 0, picked: 0 },
      suspectSince: undefined,
      gone: false,
    };
  };
  const replicas = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      Promise.all(Array.from({ length: copies }, (_, copy) => startReplica(index, copy))),
    ),
  );
  const all = replicas.flat();
  const reported: string[] = [];
  const isReady = (replica: Replica) => {
    if (replica.suspectSince && replica.shard.status !== replica.suspectSince.status) {
      replica.suspectSince = undefined;
    }
    return !replica.gone && !replica.suspectSince && !replica.leaving.signal.aborted;
  };
  const readyOf = (blockId: string) =>
    all.filter((replica) => replica.routed.blockId === blockId && isReady(replica));

  return {
    plan,
    replicas,
    directory: {
      reported,
      async pick({ blockId, avoid, waitMs, signal }) {
        for (let waitedMs = 0; ; waitedMs += 20) {
          const ready = readyOf(blockId);
          const others = ready.filter(({ routed }) => !avoid?.has(routed.instanceId));
          const [chosen] = (others.length > 0 ? others : ready).toSorted(
            (a, b) => a.outstanding - b.outstanding,
          );
          if (chosen) {
            chosen.outstanding += 1;
            chosen.picked += 1;
            let released = false;
            const release = () => {
              if (!released) chosen.outstanding -= 1;
              released = true;
            };
            return { ...chosen.routed, release };
          }
          if (waitedMs >= waitMs || signal.aborted) {
            throw new AiosError('SHARD_UNAVAILABLE', `block '${blockId}' has no ready instance.`);
          }
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      },
      free: (_tenant, blockId) =>
        new Map(
          readyOf(blockId).map(({ routed }) => [routed.instanceId, Number.POSITIVE_INFINITY]),
        ),
      report(instanceId) {
        reported.push(instanceId);
        const replica = all.find(({ routed }) => routed.instanceId === instanceId);
        if (replica) replica.suspectSince ??= { status: replica.shard.status };
      },
    },
    artifacts: {
      async path(hash) {
        const file = plan.vdag.generation?.files.find((candidate) => candidate.hash === hash);
        if (!file) throw new AiosError('NOT_FOUND', `artifact '${hash}' does not exist.`);
        return join(modelFolder, file.name);
      },
    },
    async kill(replica) {
      const { process: child } = replica.shard;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      await replica.proxy.close();
    },
    async close() {
      for (const { shard, proxy } of all) {
        const { process: child } = shard;
        shard.detach();
        if (child.exitCode === null && child.signalCode === null) {
          const exited = once(child, 'exit');
          child.kill('SIGKILL');
          await exited;
        }
        await proxy.close().catch(() => {});
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}
