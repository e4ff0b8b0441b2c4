import { expect, it } from 'vitest';
import { renderShardLoad } from '../../../cli/shard-load.ts';
import type { InstanceStatus, ShardCounters } from '../../../sdk/client/api.ts';

const counters: ShardCounters = {
  ...{ openSessions: 3, maxOpenSessions: 5, maxSessions: 8, sessionsOpened: 9, sessionsClosed: 6 },
  ...{ steps: 40, tokens: 30, sessionSwitches: 20, queuedSteps: 2, maxQueuedFrames: 4 },
  ...{ framesIn: 50, framesOut: 60, bytesIn: 2048, bytesOut: 4096, payloadCopies: 0 },
  ...{ decodeSteps: 36, decodeBatches: 10, maxBatchSteps: 5, prefillChunks: 4, prefillTokens: 64 },
  ...{ lastBatchSteps: 3, kvCapacityTokens: 4096, countedAtMs: 0, decodeMs: 1200 },
  ...{ kvTokens: 512, sharedTokens: 0, kvMoves: 2, outputCopies: 0, computeMs: 1500, waitMs: 100 },
};
const instance = { id: 'b-1', counters } as unknown as InstanceStatus;
const table = (titles: readonly string[], rows: readonly (readonly string[])[]) =>
  JSON.stringify({ titles: titles.length, rows });

it('tells of each shard what it holds, what waits, how much it computes at once and what it sends', () => {
  const idle = { ...counters, steps: 0, decodeBatches: 0, maxBatchSteps: 0 };
  const others = [{ id: 'no-shard' }, { id: 'b-2', counters: idle }] as InstanceStatus[];
  const { titles, rows } = JSON.parse(renderShardLoad([instance, ...others], { table }));

  expect(rows).toEqual([
    [
      'b-1',
      '3 of 8',
      '512 of 4096',
      '2',
      '3.6',
      '5',
      '1.5 s',
      '2.5 ms',
      expect.any(String),
      expect.any(String),
    ],
    [
      'b-2',
      '3 of 8',
      '512 of 4096',
      '2',
      '–',
      '–',
      '1.5 s',
      '–',
      expect.any(String),
      expect.any(String),
    ],
  ]);
  expect(rows[0]).toHaveLength(titles);
});
