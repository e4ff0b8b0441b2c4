import { describe, expect, test } from 'vitest';
import fastest from '../../../policies/split-planner/fastest.ts';
import { createSpeedBook, type SpeedBook } from '../../../runtime/metrics/index.ts';
import { freeNodes } from '../../../runtime/split-task/index.ts';
import { createGenerationDriver } from '../../../runtime/vdag/index.ts';
import type { PlannerFit } from '../../../sdk/planner-question.ts';
import { clusterView, gibibyte, testHost, testPlacement } from '../../support/clusters.ts';
import { eventually } from '../../support/system.ts';
import type { TcpProxy } from '../../support/tcp-proxy.ts';
import { tinyAssistantFolder } from '../../support/tiny-assistant.ts';
import { type Fleet, type Replica, startFleet } from '../vdag/replica-fleet.ts';
import { createStreams } from '../vdag/streams.ts';

const tenant = 'default';
const layerBytes = 1e8;

/** One node here, one behind the proxy, alike in all else: ten layers take 100 ms on either. */
function fitThrough(speeds: SpeedBook): PlannerFit {
  const nodes = ['near', 'far'].map((id) => ({ id, memoryBytes: 8 * gibibyte, cpuCores: 4 }));
  const measured = { weightBytesPerSecond: 100 * layerBytes };
  const home = clusterView(
    { id: 'home', backend: 'local', nodes },
    { near: measured, far: measured },
  );
  const parts = { inventory: { cluster: () => home }, placement: testPlacement([home]), speeds };
  return freeNodes(parts, tenant, ['home']);
}

async function plan(fit: PlannerFit) {
  const host = testHost();
  const { output } = await host.evaluate({
    ...{ tenant, hook: 'splitPlanner', action: 'plan', useSite: 'split/m', inventoryRevision: 0 },
    reference: {
      policyRuleURI: fastest.uri,
      parameters: { readers: 16 },
      settings: {},
    },
    input: {
      action: 'plan',
      model: {
        ...{ name: 'm', embeddingBytes: 0, headBytes: 0, overheadBytes: 0 },
        ...{ activationBytes: 65_536 },
        layers: Array.from({ length: 10 }, () => ({ residentBytes: layerBytes, kvBytes: 0 })),
      },
      ...fit,
    },
  });
  await host.close();
  return output;
}

/** What a shard's process said of itself, as the control plane reads it. */
const readingOf = ({ shard: { routed, status } }: Replica, nodeId: string) => ({
  ...{ instanceId: routed.instanceId, clusterId: 'home', nodeId, ready: true, gpus: [] },
  ...{ outstandingRequests: 0, promised: { memoryBytes: 0, cpuCores: 1 } },
  ...(status?.counters ? { shard: status.counters } : {}),
});

/** Answers until the way between both shards is measured, and then until the planner says what is expected of it. */
async function planned(
  { directory, artifacts, plan: split, replicas }: Fleet,
  isExpected: (answer: Awaited<ReturnType<typeof plan>>) => boolean,
) {
  const [near, far] = replicas.flat();
  if (!near || !far) throw new Error('the fleet has two shards');
  const driver = createGenerationDriver({
    ...{ directory, artifacts },
    resolveVdag: async () => split.vdag,
  });
  const answer = createStreams(driver, 1, 4);
  const speeds = createSpeedBook();
  try {
    return await eventually('the planner goes by what was measured', async () => {
      await answer();
      const instances = [readingOf(near, 'near'), readingOf(far, 'far')];
      speeds.take([{ tenant, blockId: 'm', instances }]);
      const fit = fitThrough(speeds);
      const found = fit.links && (await plan(fit));
      return found && isExpected(found) ? { fit, found } : undefined;
    });
  } finally {
    await driver.close();
  }
}

const ways = [
  { way: 'delays each piece', slow: (proxy: TcpProxy) => (proxy.delayMs = 150) },
  { way: 'lets little through', slow: (proxy: TcpProxy) => (proxy.bytesPerSecond = 5e4) },
];

describe('a node behind a link', () => {
  test.each(ways)('that $way is left out: one node does it all', async ({ slow }) => {
    const fleet = await startFleet(tinyAssistantFolder, { shards: 2, replicas: 1 });
    try {
      for (const { proxy } of fleet.replicas[1] ?? []) slow(proxy);
      const { fit, found } = await planned(fleet, () => true);
      expect(fit.nodes.map(({ nodeId }) => nodeId)).toEqual(['near', 'far']);
      expect(fit.links).toMatchObject([{ between: ['home/far', 'home/near'] }]);
      expect(found).toMatchObject({ firstLayers: [0] });
    } finally {
      await fleet.close();
    }
  });

  test('that is as fast as it goes shares the model', async () => {
    const fleet = await startFleet(tinyAssistantFolder, { shards: 2, replicas: 1 });
    try {
      const { found } = await planned(
        fleet,
        (answer) => 'firstLayers' in answer && answer.firstLayers.length === 2,
      );
      expect(found).toMatchObject({
        firstLayers: [0, 5],
        nodes: expect.arrayContaining(['home/near', 'home/far']),
      });
    } finally {
      await fleet.close();
    }
  });
});
