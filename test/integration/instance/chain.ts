import { randomBytes } from 'node:crypto';
import { connectInstance, type FlowLink, serveInstance } from '../../../runtime/dataplane/index.ts';
import { createShardHost, type Workload } from '../../../runtime/instance/index.ts';
import type { StageShape } from '../../../runtime/instance/open-payload.ts';
import type { StageExecutor } from '../../../runtime/model/stage.ts';
import type { ShardCounters } from '../../../sdk/client/api.ts';
import type { Hop } from './driver.ts';
import { createFakeExecutor, type FakeExecutor, fakeStage } from './fake-executor.ts';

/** Shards in this process, over real sockets. */
export interface Chain<E extends StageExecutor = FakeExecutor> extends AsyncDisposable {
  readonly hops: readonly Hop[];
  readonly executors: readonly E[];
  readonly hosts: readonly Workload[];
  /** Both ends of every stream between shards, and the shards' ends of those from drivers. */
  readonly links: readonly FlowLink[];
  counters(index: number): ShardCounters;
  openSessions(): number;
  /** Ends one shard's server as a lost machine would. */
  cut(index: number): Promise<void>;
}

/** Shards that compute with fakes. */
export function startChain(count: number, maxSessions = 8): Promise<Chain> {
  const stages = Array.from({ length: count }, (_, index) => fakeStage(index, count, maxSessions));
  return serveChain(stages, stages.map(createFakeExecutor));
}

export async function serveChain<E extends StageExecutor>(
  stages: readonly StageShape[],
  executors: readonly E[],
): Promise<Chain<E>> {
  const links: FlowLink[] = [];
  const hosts = stages.map((stage, index) =>
    createShardHost({
      instanceId: `shard-${index}`,
      stage,
      executor: executors[index]!,
      connect: (options) => {
        const connection = connectInstance(options);
        return {
          ...connection,
          link: async () => {
            const link = await connection.link();
            links.push(link);
            return link;
          },
        };
      },
    }),
  );
  const secrets = stages.map(() => randomBytes(32).toString('hex'));
  const servers = await Promise.all(
    hosts.map((host, index) =>
      serveInstance({
        instanceId: `shard-${index}`,
        secret: secrets[index]!,
        handlers: {
          onLink: (link) => {
            links.push(link);
            host.acceptLink(link);
          },
          onAttach: () => {},
          infer: host.infer,
        },
      }),
    ),
  );
  return {
    hops: servers.map(({ address }, index) => ({
      instanceId: `shard-${index}`,
      address,
      secret: secrets[index]!,
    })),
    executors,
    hosts,
    links,
    counters: (index) => hosts[index]!.counters!(),
    openSessions: () =>
      hosts.reduce((sum, host) => sum + host.counters!().openSessions, 0) +
      executors.reduce((sum, executor) => sum + executor.openSessions, 0),
    cut: (index) => servers[index]!.close(),
    async [Symbol.asyncDispose]() {
      await Promise.all(hosts.map((host) => host.close()));
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}
