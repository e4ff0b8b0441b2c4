import { describe, expect, it } from 'vitest';
import { createSpeedBook } from '../../../runtime/metrics/index.ts';
import { freeNodes } from '../../../runtime/split-task/index.ts';
import type { ShardCounters } from '../../../sdk/client/api.ts';
import { clusterView, gibibyte, nodesOf, testPlacement } from '../../support/clusters.ts';

const tenant = 'default';

function partsOf(...views: ReturnType<typeof clusterView>[]) {
  return {
    inventory: { cluster: (_: string, id: string) => views.find(({ spec }) => spec.id === id) },
    placement: testPlacement(views),
    speeds: createSpeedBook(),
  };
}

const shardOn = (instanceId: string, nodeId: string, links: ShardCounters['links'] = []) => ({
  ...{ instanceId, clusterId: 'home', nodeId, ready: true, gpus: [], outstandingRequests: 0 },
  promised: { memoryBytes: 0, cpuCores: 1 },
  shard: {
    ...{ openSessions: 0, maxOpenSessions: 0, sessionsOpened: 0, sessionsClosed: 0 },
    ...{ steps: 0, tokens: 0, sessionSwitches: 0, framesIn: 0, framesOut: 0 },
    ...{ bytesIn: 0, bytesOut: 0, payloadCopies: 0, maxQueuedFrames: 0, queuedSteps: 0 },
    ...{ maxSessions: 1, kvTokens: 0, sharedTokens: 0, kvMoves: 0, decodeSteps: 0 },
    ...{ maxBatchSteps: 1, prefillChunks: 0, prefillTokens: 0, outputCopies: 0 },
    ...{ lastBatchSteps: 1, kvCapacityTokens: 0, countedAtMs: 0, waitMs: 0, computeMs: 0 },
    ...{ decodeBatches: 0, decodeMs: 0, links },
  },
});

describe('what a planner of a split task is told of nodes', () => {
  it('is memory, cores and speed of those with a free core, and the measured ways between them', () => {
    const home = clusterView(
      {
        id: 'home',
        backend: 'local',
        nodes: [
          ...nodesOf(8 * gibibyte, 4 * gibibyte),
          { id: 'full', memoryBytes: gibibyte, cpuCores: 0.5 },
        ],
      },
      { n1: { weightBytesPerSecond: 5e9 } },
    );
    const parts = partsOf(home);
    const way = { latencyMs: 3, bytesPerSecond: 1e8 };
    parts.speeds.take([
      {
        ...{ tenant, blockId: 'b' },
        instances: [
          shardOn('a', 'n1', [
            { peerId: 'b', ...way },
            { peerId: 'driver-1', ...way },
            { peerId: 'c', ...way },
          ]),
          shardOn('b', 'n2'),
          shardOn('c', 'full'),
        ],
      },
    ]);

    expect(freeNodes(parts, tenant, ['home'])).toEqual({
      nodes: [
        {
          ...{ clusterId: 'home', nodeId: 'n1', cpuCores: 4 },
          ...{ freeMemoryBytes: 8 * gibibyte, weightBytesPerSecond: 5e9 },
        },
        { clusterId: 'home', nodeId: 'n2', cpuCores: 4, freeMemoryBytes: 4 * gibibyte },
      ],
      links: [{ between: ['home/n1', 'home/n2'], ...way }],
    });
  });

  it('is nothing where no cluster is named', () => {
    expect(freeNodes(partsOf(), tenant, [])).toEqual({ nodes: [] });
  });

  it('is refused for a cluster that does not exist, or that has no core to promise', () => {
    const busy = clusterView({
      ...{ id: 'busy', backend: 'local' },
      nodes: [{ id: 'n1', memoryBytes: gibibyte, cpuCores: 0.5 }],
    });
    expect(() => freeNodes(partsOf(busy), tenant, ['busy', 'gone'])).toThrow(
      "cluster 'gone' does not exist",
    );
    expect(() => freeNodes(partsOf(busy), tenant, ['busy'])).toThrow(
      'no node of busy is healthy and has a core to promise',
    );
  });
});
