import { randomBytes } from 'node:crypto';
import { serveInstance } from '../../../runtime/dataplane/index.ts';
import { createShardHost, type Workload } from '../../../runtime/instance/index.ts';
import type { ShardCounters } from '../../../sdk/client/api.ts';
import type { Hop } from './driver.ts';
import { createFakeExecutor, type FakeExecutor, fakeStage } from './fake-executor.ts';

/** Shards in this process, over real sockets, computing with fakes. */
export interface Chain extends AsyncDisposable {
  readonly hops: readonly Hop[];
  readonly executors: readonly FakeExecutor[];
  readonly hosts: readonly Workload[];
  counters(index: number): ShardCounters;
  openSessions(): number;
  /** Ends one shard's server as a lost machine would. */
  cut(index: number): Promise<void>;
}

export async function startChain(count: number, maxSessions = 8): Promise<Chain> {
  const stages = Array.from({ length: count }, (_, index) => fakeStage(index, count, maxSessions));
  const executors = stages.map(createFakeExecutor);
  const hosts = stages.map((stage, index) =>
    createShardHost({ instanceId: `shard-${index}`, stage, executor: executors[index]! }),
  );
  const secrets = stages.map(() => randomBytes(32).toString('hex'));
  const servers = await Promise.all(
    hosts.map((host, index) =>
      serveInstance({
        instanceId: `shard-${index}`,
        secret: secrets[index]!,
        handlers: { onLink: host.acceptLink, onAttach: () => {}, infer: host.infer },
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
