import fc from 'fast-check';
import { expect, test } from 'vitest';
import { queuedIn } from '../../../runtime/block/block-readings.ts';
import type { ShardCounters } from '../../../sdk/client/api.ts';

type SelfStatus = NonNullable<Parameters<typeof queuedIn>[0]['selfStatus']>;

const reporting = (queuedSteps: number): SelfStatus => ({
  ...{ instanceId: 'i', state: 'ready', emptyResidentBytes: 1, residentBytes: 2 },
  counters: { queuedSteps } as ShardCounters,
});

test('what waits inside an instance is what it says, and never more than what it was given', () => {
  expect(queuedIn({ selfStatus: reporting(2), outstanding: 5 })).toBe(2);
  // One long prompt in four chunks.
  expect(queuedIn({ selfStatus: reporting(4), outstanding: 1 })).toBe(1);
  fc.assert(
    fc.property(fc.nat(), fc.nat(), (queuedSteps, outstanding) => {
      const queued = queuedIn({ selfStatus: reporting(queuedSteps), outstanding });
      expect(queued).toBeLessThanOrEqual(Math.min(queuedSteps, outstanding));
    }),
  );
});

test('one that says nothing of it leaves it open', () => {
  expect(queuedIn({ selfStatus: undefined, outstanding: 5 })).toBeUndefined();
  const { counters: _, ...silent } = reporting(0);
  expect(queuedIn({ selfStatus: silent, outstanding: 5 })).toBeUndefined();
});
