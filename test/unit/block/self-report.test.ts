import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readSelfReport } from '../../../runtime/block/self-report.ts';
import { createSpeedBook } from '../../../runtime/metrics/speeds.ts';

const take = (counters: unknown) => {
  const { counters: shard } = readSelfReport({ state: 'ready', counters });
  createSpeedBook().take([
    {
      ...{ tenant: 't', blockId: 'b' },
      instances: [
        {
          ...{ instanceId: 'i', clusterId: 'c', nodeId: 'n', ready: true, gpus: [] },
          ...{ promised: { memoryBytes: 0, cpuCores: 1 }, outstandingRequests: 0 },
          ...(shard ? { shard } : {}),
        },
      ],
    },
  ]);
  return shard;
};

test('what makes sense of a report is taken, and the rest is left out', () => {
  const good = { peerId: 'driver-1', latencyMs: 1, bytesPerSecond: 1000 };
  const links = [
    ...[good, {}, 5, null, { ...good, peerId: 5 }, { ...good, latencyMs: -1 }],
    { ...good, bytesPerSecond: 'fast' },
  ];
  expect(take({ decodeBatches: 3, decodeMs: 'long', maxSessions: 1e300, links, x: 1 })).toEqual(
    expect.objectContaining({
      ...{ decodeBatches: 3, decodeMs: 0, maxSessions: 0 },
      links: [good, { peerId: 'driver-1', latencyMs: 1 }],
    }),
  );
  expect(take({ links: 5 })).not.toHaveProperty('links');
  expect(take({ links: Array.from({ length: 5000 }, () => good) })?.links).toHaveLength(256);
  expect(take(7)).toBeUndefined();
  expect(
    readSelfReport({
      ...{ state: 'dancing', emptyResidentBytes: null, error: 5, health: { status: 'well' } },
      spans: {},
    }),
  ).toEqual({ emptyResidentBytes: 0, spans: [] });
});

test('one that makes sense is taken whole', () => {
  const said = {
    ...{ state: 'failed', error: { code: 'INTERNAL', message: 'no' }, emptyResidentBytes: 5 },
    ...{ health: { status: 'unhealthy', reason: 'tired' }, spans: [{}] },
  };
  expect(readSelfReport(said)).toEqual(said);
});

test('whatever an instance says, nothing throws', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (said, links) => {
      readSelfReport(said);
      take(said);
      take({ decodeBatches: 1, decodeMs: 1, links });
    }),
  );
});
