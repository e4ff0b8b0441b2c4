import { describe, expect, it } from 'vitest';
import { withSpeeds } from '../../../runtime/metrics/node-speeds.ts';
import { createSpeedBook } from '../../../runtime/metrics/speeds.ts';
import type { ShardCounters } from '../../../sdk/client/api.ts';
import type { NodeMeasurement } from '../../../sdk/cluster.ts';

const tenant = 'default';
const counters = (
  decodeBatches: number,
  decodeMs: number,
  more: Partial<ShardCounters> = {},
): ShardCounters => ({
  ...{ openSessions: 0, maxOpenSessions: 0, sessionsOpened: 0, sessionsClosed: 0 },
  ...{ steps: 0, tokens: 0, sessionSwitches: 0, framesIn: 0, framesOut: 0 },
  ...{ bytesIn: 0, bytesOut: 0, payloadCopies: 0, maxQueuedFrames: 0, queuedSteps: 0 },
  ...{ maxSessions: 1, kvTokens: 0, sharedTokens: 0, kvMoves: 0, decodeSteps: decodeBatches },
  ...{ maxBatchSteps: 1, prefillChunks: 0, prefillTokens: 0, outputCopies: 0 },
  ...{ lastBatchSteps: 1, kvCapacityTokens: 0, countedAtMs: 0, waitMs: 0, computeMs: decodeMs },
  ...{ decodeBatches, decodeMs, weightBytes: 1e6 },
  ...more,
});
const blockOf = (instanceId: string, nodeId: string, shard: ShardCounters) => ({
  ...{ tenant, blockId: instanceId },
  instances: [
    {
      ...{ instanceId, clusterId: 'home', nodeId, ready: true, gpus: [], outstandingRequests: 0 },
      promised: { memoryBytes: 0, cpuCores: 1 },
      shard,
    },
  ],
});

describe('what shards tell of their nodes', () => {
  it('is the weights they went through in the time they decoded', () => {
    const book = createSpeedBook();
    book.take([blockOf('a', 'n1', counters(10, 100))]);
    expect(book.node(tenant, 'home', 'n1')).toBeCloseTo(1e8);
    expect(book.stepMs(tenant, 'a')).toBe(10);
    expect(book.node(tenant, 'home', 'n2')).toBeUndefined();
    expect(book.node('another', 'home', 'n1')).toBeUndefined();
  });

  it('follows a node that gets slower, and takes counters that begin again', () => {
    const book = createSpeedBook();
    book.take([blockOf('a', 'n1', counters(10, 100))]);
    book.take([blockOf('a', 'n1', counters(10, 100))]);
    expect(book.node(tenant, 'home', 'n1')).toBeCloseTo(1e8);
    book.take([blockOf('a', 'n1', counters(1010, 100_100))]);
    const slower = book.node(tenant, 'home', 'n1') ?? 0;
    expect(slower).toBeGreaterThan(0.99e7);
    expect(slower).toBeLessThan(1.01e7);
    book.take([blockOf('a', 'n1', counters(2000, 20_000))]);
    expect(book.node(tenant, 'home', 'n1') ?? 0).toBeGreaterThan(2 * slower);
  });

  it('says nothing before it has decoded long enough to tell, or does not know its weights', () => {
    const book = createSpeedBook();
    const { weightBytes: _, ...unknown } = counters(100, 1000);
    book.take([blockOf('a', 'n1', counters(1, 10)), blockOf('b', 'n2', unknown)]);
    expect(book.node(tenant, 'home', 'n1')).toBeUndefined();
    expect(book.node(tenant, 'home', 'n2')).toBeUndefined();
  });

  it('goes for the other nodes of the machine too, and before a probe', () => {
    const measurement = (machineId: string): NodeMeasurement => ({
      ...{ atMs: 1, memoryUsedBytes: 0, cpuUsedCores: 0, load1m: 0, load5m: 0, load15m: 0 },
      ...{ processes: 0, machineId, weightBytesPerSecond: 5, speedFrom: 'probe' },
    });
    const measured = new Map([
      ['n1', measurement('m')],
      ['n2', measurement('m')],
      ['n3', measurement('other')],
    ]);
    const known = withSpeeds(measured, (id) => (id === 'n1' ? 100 : undefined));
    expect(known.get('n1')).toMatchObject({ weightBytesPerSecond: 100, speedFrom: 'shards' });
    expect(known.get('n2')).toMatchObject({ weightBytesPerSecond: 100, speedFrom: 'shards' });
    expect(known.get('n3')).toMatchObject({ weightBytesPerSecond: 5, speedFrom: 'probe' });
  });
});

describe('what shards tell of the ways between them', () => {
  it('is the mean of both ends, by node; to drivers too, and not inside a node', () => {
    const book = createSpeedBook();
    const at = (peerId: string, latencyMs: number, bytesPerSecond: number) => ({
      ...{ peerId, latencyMs, bytesPerSecond },
    });
    const driver = at('driver-1', 3, 1e6);
    book.take([
      blockOf('a', 'n1', counters(0, 0, { links: [driver, at('b', 1, 1e8), at('c', 9, 9)] })),
      blockOf('b', 'n2', counters(0, 0, { links: [at('a', 2, 1e8), at('gone', 1, 1)] })),
      blockOf('c', 'n1', counters(0, 0, { links: [at('a', 9, 9)] })),
    ]);
    expect(book.links(tenant, 'home')).toEqual([
      { between: ['drivers', 'home/n1'], values: { latencyMs: 3, bytesPerSecond: 1e6 } },
      { between: ['home/n1', 'home/n2'], values: { latencyMs: 1.5, bytesPerSecond: 1e8 } },
    ]);
    expect(book.link(tenant, 'home/n2', 'home/n1')?.latencyMs).toBe(1.5);
    expect(book.links('another', 'home')).toEqual([]);
    // What was known of the bandwidth stays, and so does a way that nobody goes now.
    book.take([blockOf('b', 'n2', counters(0, 0, { links: [{ peerId: 'a', latencyMs: 4 }] }))]);
    book.take([]);
    expect(book.links(tenant, 'home')).toHaveLength(2);
  });
});
