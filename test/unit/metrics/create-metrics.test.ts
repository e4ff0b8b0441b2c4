import { describe, expect, it } from 'vitest';
import {
  type BlockReading,
  createMetrics,
  type InstanceReading,
  type Inventory,
} from '../../../runtime/metrics/index.ts';
import type { ClusterView } from '../../../runtime/placement/placement.ts';
import type { NodeMeasurement } from '../../../sdk/cluster.ts';
import { clusterView, testPlacement } from '../../support/clusters.ts';
import { gibibyte, gpu, nowMs } from './fixtures.ts';

/** A system whose clock, clusters and blocks the test moves. */
function testSystem(options: { readonly keepMs?: number; readonly nodeIntervalMs?: number } = {}) {
  const time = { nowMs };
  const state: { views: ClusterView[]; blocks: readonly BlockReading[]; fails: boolean } = {
    ...{ views: [], blocks: [], fails: false },
  };
  const logged: string[] = [];
  const spec = (id: string) => ({ id, memoryBytes: 8 * gibibyte, cpuCores: 4 });
  const gpus = [{ memoryBytes: 24 * gibibyte }, { memoryBytes: 24 * gibibyte }];
  const document = { id: 'c', nodes: [{ ...spec('n1'), gpus }, spec('n2')] };
  const first = clusterView(document);
  const placement = testPlacement([first]);
  const inventory: Pick<Inventory, 'tenants' | 'clusters' | 'cluster'> = {
    tenants: () => ['default'],
    clusters: (tenant) => (tenant === 'default' ? state.views : []),
    cluster: (tenant, id) =>
      tenant === 'default' ? state.views.find((view) => view.spec.id === id) : undefined,
  };
  const metrics = createMetrics({
    ...{ inventory, snapshot: placement.snapshot, intervalMs: 0, staleAfterMs: 10_000 },
    ...options,
    clock: () => time.nowMs,
    blocks: async () => {
      if (state.fails) throw new Error('no blocks today');
      return state.blocks;
    },
    log: (line) => logged.push(line),
  });
  return {
    ...{ metrics, state, time, logged, placement },
    measure(values: Readonly<Record<string, Partial<NodeMeasurement>>>) {
      const dated = Object.entries(values).map(([id, measured]) => [
        id,
        { atMs: time.nowMs, ...measured },
      ]);
      const { measured } = clusterView(document, Object.fromEntries(dated));
      state.views = [{ ...first, measured }];
    },
  };
}

const instance = (instanceId: string, values: Partial<InstanceReading> = {}): InstanceReading => ({
  ...{ instanceId, clusterId: 'c', nodeId: 'n1', ready: true, gpus: [], outstandingRequests: 0 },
  promised: { memoryBytes: gibibyte, cpuCores: 2 },
  ...values,
});
const block = (...instances: InstanceReading[]): BlockReading => ({
  ...{ tenant: 'default', blockId: 'b', clusterId: 'c', instances },
});

describe('blocks', () => {
  it('sum over instances, and average what is an average', async () => {
    const { metrics, measure, state, time } = testSystem();
    for (let step = 0; step < 5; step += 1) {
      measure({
        n1: { gpus: [gpu(0, { utilizationFraction: 0.9 }), gpu(1, { utilizationFraction: 0.3 })] },
      });
      state.blocks = [
        block(
          instance('a', { outstandingRequests: 4, cpuSeconds: step * 2, gpus: [0] }),
          // Shares the first device, which counts once; has promised itself fewer cores.
          instance('b', {
            ...{ outstandingRequests: 1, cpuSeconds: step, gpus: [0, 1], residentBytes: 5 },
            promised: { memoryBytes: gibibyte, cpuCores: 1 },
          }),
          instance('c', { ready: false, queuedRequests: 7 }),
        ),
      ];
      await metrics.collect();
      time.nowMs += 1000;
    }
    const found = metrics.block('default', 'b');

    expect(found?.readyInstances.last).toBe(2);
    expect(found?.outstandingRequests.last).toBe(5);
    expect(found?.queueLength.last).toBe(3 + 0 + 7);
    expect(found?.cpuUsedCores?.averages['1m']).toBeCloseTo(3);
    // 3 cores of the 3 that those who are measured were promised.
    expect(found?.cpuFraction?.last).toBeCloseTo(1);
    expect(found?.memoryUsedBytes?.last).toBe(5);
    expect(found?.gpuUtilizationFraction?.last).toBeCloseTo(0.6);
    expect(found?.instances.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(found?.instances[1]?.gpuUtilizationFraction?.last).toBeCloseTo(0.6);
    expect(JSON.parse(JSON.stringify(found))).toEqual(found);
  });

  it('count requests once, with their latency and how many failed', async () => {
    const { metrics, state, time } = testSystem();
    const { requests } = metrics;
    state.blocks = [block(instance('a'), instance('b'))];
    await metrics.collect();
    const ends = Array.from({ length: 10 }, () => requests.begin('default', 'b', 'a'));
    time.nowMs += 500;
    for (const end of ends.slice(1)) end();
    ends[0]?.({ ok: false });
    ends[0]?.();
    requests.observe('default', 'b', 'b', 1600, true);
    const wait = requests.wait('default', 'b');
    time.nowMs += 1500;
    await metrics.collect();
    wait();
    const found = metrics.block('default', 'b');

    expect(found).toMatchObject({ requestsTotal: 11, failuresTotal: 1 });
    expect(found?.requestsPerSecond.averages['1m']).toBeCloseTo(11 / 2);
    expect(found?.failuresPerSecond.averages['1m']).toBeCloseTo(1 / 2);
    expect(found?.latencyMs?.averages['1m']).toBeCloseTo((10 * 500 + 1600) / 11);
    expect(found?.queueLength.last).toBe(1);
    expect(metrics.instance('default', 'b', 'a')).toMatchObject({ requestsTotal: 10 });
    expect(metrics.instance('default', 'b', 'b')?.latencyMs?.last).toBe(1600);
  });

  it('a restarted process does not look like work undone', async () => {
    const { metrics, state, time } = testSystem();
    for (const cpuSeconds of [100, 101, 3, 5]) {
      state.blocks = [block(instance('a', { cpuSeconds }))];
      await metrics.collect();
      time.nowMs += 1000;
    }

    expect(metrics.block('default', 'b')?.cpuUsedCores).toMatchObject({ last: 2, samples: 2 });
  });

  it('leave nothing behind, and are no other tenant’s', async () => {
    const { metrics, state, time } = testSystem();
    state.blocks = [block(instance('a'))];
    const end = metrics.requests.begin('default', 'b', 'a');
    await metrics.collect();
    expect(metrics.block('other', 'b')).toBeUndefined();
    expect(metrics.blockIds('other')).toEqual([]);
    expect(metrics.historyBytes).toBeGreaterThan(0);

    state.blocks = [];
    time.nowMs += 1000;
    await metrics.collect();
    end();
    await metrics.collect();
    expect(metrics.block('default', 'b')).toBeUndefined();
    expect(metrics.historyBytes).toBe(0);

    // A block of the same name begins anew.
    state.blocks = [block(instance('a'))];
    await metrics.collect();
    expect(metrics.block('default', 'b')).toMatchObject({ requestsTotal: 0 });
  });

  it('that cannot be read are said once in the log, and clusters go on', async () => {
    const { metrics, measure, state, logged } = testSystem();
    state.fails = true;
    measure({ n1: {} });
    await metrics.collect();
    await metrics.collect();

    expect(logged).toEqual([expect.stringContaining('no blocks today')]);
    expect(metrics.history('default', { type: 'cluster', clusterId: 'c' }, 'load1m')).toBeDefined();
  });
});

describe('clusters and nodes', () => {
  it('agree with what placement sees, and drop what went silent', async () => {
    const { metrics, measure, placement, time, state } = testSystem();
    measure({
      n1: { load1m: 2, gpus: [gpu(0, { freeMemoryBytes: gibibyte })] },
      n2: { load1m: 4 },
    });
    await metrics.collect();
    const view = state.views[0];
    const free = view && placement.snapshot('default', view).nodes[0]?.gpus[0]?.freeMemoryBytes;

    expect(free).toBe(gibibyte);
    expect(metrics.node('default', 'c', 'n1')?.gpus[0]?.values.freeMemoryBytes).toBe(gibibyte);
    expect(metrics.cluster('default', 'c')?.values).toMatchObject({ load1m: 3, gpuCount: 2 });

    time.nowMs += 10_001;
    measure({ n1: { load1m: 8 }, n2: { load1m: 4, atMs: nowMs } });
    await metrics.collect();
    expect(metrics.cluster('default', 'c')).toMatchObject({
      values: { load1m: 8 },
      dropped: [{ id: 'n2', reason: 'stale' }],
    });
    expect(metrics.cluster('default', 'nowhere')).toBeUndefined();
    expect(metrics.node('default', 'c', 'nowhere')).toBeUndefined();
  });

  it('have traffic as a rate that does not jump when a node drops out', async () => {
    const { metrics, measure, time } = testSystem({ nodeIntervalMs: 1000 });
    for (let step = 0; step < 20; step += 1) {
      const n1 = { networkSentBytes: 1_000_000 + step * 100 };
      const n2 = { networkSentBytes: 5_000_000 + step * 300 };
      // The second node is away for a while.
      measure(step >= 5 && step < 10 ? { n1 } : { n1, n2 });
      await metrics.collect();
      time.nowMs += 1000;
    }
    const cluster = { type: 'cluster', clusterId: 'c' } as const;
    const node = { type: 'node', clusterId: 'c', nodeId: 'n2' } as const;

    const rate = metrics.history('default', cluster, 'networkSentBytes');
    expect(rate?.averages['1m']).toBeCloseTo(400);
    expect(rate?.last).toBeCloseTo(400);
    expect(rate?.max).toBeLessThan(2500);
    expect(metrics.history('default', node, 'networkSentBytes')?.averages['1m']).toBeCloseTo(300);
    expect(metrics.history('default', node, 'constructor')).toBeUndefined();
    expect(metrics.cluster('default', 'c')?.windows?.load1m?.samples).toBe(20);
  });
});
