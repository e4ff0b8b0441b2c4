import { describe, expect, it } from 'vitest';
import { aggregateCluster } from '../../../runtime/metrics/aggregate.ts';
import type { InstanceMetrics, MetricWindow } from '../../../sdk/metrics.ts';
import { toAios } from '../../../sdk/metrics-aios.ts';
import { gibibyte, gpu, measurement, nodeOf, nowMs } from './fixtures.ts';

const node = nodeOf({
  id: 'node-1',
  gpus: 2,
  measured: measurement({
    ...{ load1m: 3.1, memoryUsedBytes: 2 * gibibyte, storageFreeBytes: 300 * gibibyte },
    ...{ storageUsedBytes: 100 * gibibyte, networkReceivedBytes: 7, networkSentBytes: 9 },
    gpus: [
      gpu(0, { utilizationFraction: 0.5, temperatureCelsius: 54, powerWatts: 128.4 }),
      gpu(1, { utilizationFraction: 0.25 }),
    ],
  }),
});
const window = (last: number, minute = last): MetricWindow => ({
  ...{ last, atMs: nowMs, averages: { '1m': minute, '5m': 5, '15m': 15 } },
  ...{ max: 20, trendPerSecond: 0, samples: 9, coveredMs: 8 },
});
const instance: InstanceMetrics = {
  ...{ type: 'instance', id: 'in-1', blockId: 'b', clusterId: 'c', nodeId: 'node-1' },
  ...{ collectedAtMs: nowMs, staleAfterMs: 10_000, ready: true, gpus: [0] },
  ...{ requestsTotal: 12, failuresTotal: 1, promised: { memoryBytes: gibibyte, cpuCores: 2 } },
  ...{ outstandingRequests: window(2), queueLength: window(1, 2), requestsPerSecond: window(3) },
  ...{ failuresPerSecond: window(0), latencyMs: window(220, 210), cpuFraction: window(0.8) },
  ...{ memoryUsedBytes: window(gibibyte / 2), gpuUtilizationFraction: window(0.4) },
};

describe('the AIOS view', () => {
  it('of a node has the documented names and units', () => {
    const traffic = { networkSentBytes: window(0, 10) };
    const document = toAios({ ...node, windows: traffic });

    expect(document).toMatchObject({
      ...{ type: 'hardware', nodeId: 'node-1', clusterId: 'c', timestamp: nowMs / 1000 },
      metrics: {
        resource: {
          node: {
            id: 'node-1',
            vcpu: { count: 4, load1m: 3.1, load5m: 2, load15m: 3, totalProcesses: 2 },
            memory: { freeMem: 8192, usedMem: 2048, averageUtil: 25, totalMem: 8192 },
            storage: {
              ...{ freeMem: 300 * 1024, usedMem: 100 * 1024 },
              disks: { memory: { maxDisk: 400 * 1024, minDisk: 400 * 1024 } },
            },
            network: {
              ...{ rxBytesTotal: 7, txBytesTotal: 9 },
              ...{ txBytes1m: 600, txBytes5m: 1500, txBytes15m: 13_500 },
            },
            gpu: {
              ...{ count: 2, totalMem: 49_152, totalUsedMem: 8192, totalFreeMem: 40_960 },
              ...{ avgTemperature: 54, avgPowerUtilization: 128.4, avgCudaUtilization: 37.5 },
            },
            gpus: [
              {
                ...{ gpu_id: 0, usedMem: 4096, freeMem: 20_480, totalMem: 24_576 },
                ...{ cudaUtilization: 50, powerUtilization: 128.4, temperature: 54 },
              },
              { gpu_id: 1, cudaUtilization: 25 },
            ],
          },
        },
      },
    });
  });

  it('of a cluster averages what AIOS sums, and keeps the devices', () => {
    const cluster = aggregateCluster({
      ...{ tenant: 'default', clusterId: 'c-1', nowMs, staleAfterMs: 10_000 },
      nodes: [nodeOf({ id: 'a' }), node],
      healthyNodes: new Set(['a', 'node-1']),
    });
    const document = toAios(cluster);

    expect(document).toMatchObject({
      clusterId: 'c-1',
      cluster: {
        vcpu: { load1m: 2.05, count: 8 },
        memory: { averageUtil: 18.75, usedMem: 3072 },
        gpu: { count: 2, avgCudaUtilization: 37.5 },
        gpus: [
          { nodeId: 'node-1', gpu_id: 0, freeMem: 20_480 },
          { nodeId: 'node-1', gpu_id: 1 },
        ],
      },
      nodes: [{ id: 'a', gpus: [], gpu: { count: 0 } }, { id: 'node-1' }],
    });
  });

  it('of a block lists its executor and its instances, in seconds and MB', () => {
    const { blockId: _, ...load } = instance;
    const document = toAios({
      ...load,
      ...{ type: 'block', id: 'b', readyInstances: window(1), instances: [instance] },
    });

    expect(document).toMatchObject({
      blockId: 'b',
      instances: [
        { type: 'app', instanceId: 'executor', nodeKey: 'executor__b' },
        {
          ...{ type: 'app', instanceId: 'in-1', nodeId: 'node-1', nodeKey: 'in-1__b' },
          queue_length: { current: 1, average_1m: 2, average_5m: 5, average_15m: 15 },
          latency: { current: 0.22, average_1m: 0.21 },
          ...{ end_to_end_count_total: 12, tasks_processed: { tasks_processed_total: 10 } },
          hardware: {
            cpu: { percent: 80 },
            memory: { usedMem: 512, totalMem: 1024, averageUtil: 50 },
            gpus: [{ id: 0, utilization: 40 }],
          },
        },
      ],
    });
  });

  it('of a vDAG has averages', () => {
    const { requestsTotal, failuresTotal, outstandingRequests, requestsPerSecond } = instance;
    const document = toAios({
      ...{ type: 'vdag', id: 'pose:0.0.1-stable', collectedAtMs: nowMs, staleAfterMs: 10_000 },
      ...{ requestsTotal, failuresTotal, outstandingRequests, requestsPerSecond },
      ...{ failuresPerSecond: window(0), latencyMs: window(400, 310) },
    });

    expect(document).toMatchObject({
      ...{ type: 'vdag', vdagURI: 'pose:0.0.1-stable', inference_requests_total: 12 },
      ...{ inference_latency_seconds: 0.31, inference_fps: 3 },
    });
  });
});
