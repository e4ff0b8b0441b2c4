import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aggregateCluster } from '../../../runtime/metrics/aggregate.ts';
import { metricFields, metricNames } from '../../../sdk/metric-fields.ts';
import type { ClusterMetrics, NodeMetrics } from '../../../sdk/metrics.ts';
import { gibibyte, gpu, measurement, nodeOf, nowMs, unmeasuredNode } from './fixtures.ts';

function aggregate(
  nodes: readonly NodeMetrics[],
  healthyNodes: ReadonlySet<string> = new Set(nodes.map(({ id }) => id)),
): ClusterMetrics {
  const common = { tenant: 'default', clusterId: 'c', nowMs, staleAfterMs: 10_000 };
  return aggregateCluster({ ...common, nodes, healthyNodes });
}

const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const anyNode = fc.record({
  ageMs: fc.integer({ min: 0, max: 20_000 }),
  used: fc.integer({ min: 0, max: 8 * gibibyte }),
  load: fc.double({ min: 0, max: 100, noNaN: true }),
  storage: fc.option(fc.integer({ min: 0, max: 2 ** 40 }), { nil: undefined }),
  machine: fc.option(fc.constantFrom('m1', 'm2'), { nil: undefined }),
  gpus: fc.array(fc.option(fraction, { nil: undefined }), { maxLength: 4 }),
});
const anyNodes = fc.array(anyNode, { maxLength: 12 }).map((all) =>
  all.map(({ ageMs, used, load, storage, machine, gpus }, at) =>
    nodeOf({
      id: `n${at}`,
      gpus: gpus.length,
      measured: measurement({
        atMs: nowMs - ageMs,
        memoryUsedBytes: used,
        load1m: load,
        ...(storage === undefined ? {} : { storageFreeBytes: storage, storageUsedBytes: 1 }),
        ...(machine === undefined ? {} : { machineId: machine }),
        gpus: gpus.map((busy, index) =>
          gpu(index, busy === undefined ? {} : { utilizationFraction: busy }),
        ),
      }),
    }),
  ),
);

describe('aggregation', () => {
  it('does not depend on the order of nodes', () => {
    fc.assert(
      fc.property(
        anyNodes.chain((nodes) =>
          fc.tuple(
            fc.constant(nodes),
            fc.shuffledSubarray(nodes, { minLength: nodes.length, maxLength: nodes.length }),
          ),
        ),
        ([nodes, shuffled]) => {
          expect(aggregate(shuffled)).toEqual(aggregate(nodes));
        },
      ),
    );
  });

  it('drops dead nodes as if they had never been', () => {
    fc.assert(
      fc.property(anyNodes, fc.func(fc.boolean()), (nodes, isHealthy) => {
        const healthy = new Set(nodes.map(({ id }) => id).filter((id) => isHealthy(id)));
        const alive = nodes.filter(
          ({ id, collectedAtMs }) => healthy.has(id) && nowMs - collectedAtMs <= 10_000,
        );
        const all = aggregate(nodes, healthy);

        expect({ ...all, dropped: [] }).toEqual(aggregate(alive));
        expect(all.nodes.length + all.dropped.length).toBe(nodes.length);
      }),
    );
  });

  it('equals the naive computation, field by field', () => {
    fc.assert(
      fc.property(anyNodes, (everyone) => {
        const { values, nodes } = aggregate(everyone);
        const machines = nodes.filter(({ id, machineId, collectedAtMs }) => {
          const rivals = nodes.filter((other) => machineId && other.machineId === machineId);
          const newest = Math.max(collectedAtMs, ...rivals.map((other) => other.collectedAtMs));
          const winner = rivals.filter((other) => other.collectedAtMs === newest)[0];
          return machineId === undefined || winner?.id === id;
        });
        for (const name of metricNames) {
          const { over, perMachine, device } = {
            perMachine: undefined,
            device: undefined,
            ...metricFields[name],
          };
          const found = device
            ? nodes.flatMap(({ gpus }) => gpus.map((one) => one.values[device]))
            : (perMachine ? machines : nodes).map((node) => node.values[name]);
          const known = found.filter((value) => value !== undefined);
          const sum = known.reduce((total, value) => total + value, 0);
          const expected = {
            ...{ sum, mean: sum / known.length, max: Math.max(...known), min: Math.min(...known) },
          }[over];

          if (known.length === 0) expect(values).not.toHaveProperty(name);
          else expect(values[name]).toBeCloseTo(expected, 6);
        }
      }),
    );
  });

  it('keeps the list of devices with node and index, where the first node has none', () => {
    const cluster = aggregate([
      nodeOf({ id: 'a' }),
      nodeOf({
        id: 'b',
        gpus: 2,
        measured: measurement({
          gpus: [gpu(0, { utilizationFraction: 0.2 }), gpu(1, { utilizationFraction: 0.6 })],
        }),
      }),
      nodeOf({
        id: 'c',
        gpus: 1,
        measured: measurement({
          gpus: [gpu(0, { utilizationFraction: 1, temperatureCelsius: 60 })],
        }),
      }),
    ]);
    const devices = cluster.nodes.flatMap(({ gpus }) => gpus);

    expect(devices.map(({ nodeId, index }) => `${nodeId}/${index}`)).toEqual(['b/0', 'b/1', 'c/0']);
    expect(cluster.values).toMatchObject({
      gpuCount: 3,
      gpuTotalMemoryBytes: 72 * gibibyte,
      gpuFreeMemoryBytes: 60 * gibibyte,
      gpuTemperatureCelsius: 60,
    });
    // Over three devices, not over two nodes' means.
    expect(cluster.values.gpuUtilizationFraction).toBeCloseTo(0.6);
  });

  it('says why a node is left out, and dates itself by the oldest reading', () => {
    const unmeasured = unmeasuredNode('new');
    const aged = (id: string, ageMs: number) =>
      nodeOf({ id, measured: measurement({ atMs: nowMs - ageMs }) });
    const nodes = [aged('a', 0), aged('b', 9000), aged('old', 10_001), aged('sick', 0), unmeasured];
    const cluster = aggregate(nodes, new Set(['a', 'b', 'old', 'new']));

    expect(cluster.collectedAtMs).toBe(nowMs - 9000);
    expect(cluster.dropped).toEqual([
      { id: 'new', reason: 'unmeasured' },
      { id: 'old', reason: 'stale' },
      { id: 'sick', reason: 'unhealthy' },
    ]);
    expect(aggregate([aged('old', 20_000)])).toMatchObject({ collectedAtMs: 0, values: {} });
  });

  it('averages loads and utilizations and sums amounts', () => {
    const { values } = aggregate([
      nodeOf({ id: 'a', measured: measurement({ load15m: 2, memoryUsedBytes: 2 * gibibyte }) }),
      nodeOf({ id: 'b', measured: measurement({ load15m: 6, memoryUsedBytes: 6 * gibibyte }) }),
    ]);

    expect(values).toMatchObject({
      load15m: 4,
      memoryUsedFraction: 0.5,
      memoryUsedBytes: 8 * gibibyte,
      memoryFreeBytes: 16 * gibibyte,
      cpuCores: 8,
    });
  });

  it('counts a shared machine once', () => {
    const shared = (id: string, atMs: number, storageFreeBytes: number) =>
      nodeOf({ id, measured: measurement({ atMs, machineId: 'm', storageFreeBytes, load1m: 4 }) });
    const { values } = aggregate([
      shared('a', nowMs - 5, 100),
      shared('b', nowMs, 90),
      nodeOf({ id: 'x', measured: measurement({ storageFreeBytes: 1000, load1m: 1 }) }),
    ]);

    expect(values).toMatchObject({ storageFreeBytes: 1090, load1m: 2.5 });
    expect(values.memoryUsedBytes).toBe(3 * gibibyte);
  });
});
