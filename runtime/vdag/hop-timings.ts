import type { HopTiming } from './generation.ts';

/** Adds up where the time of an answer went. */
export interface HopTimings {
  /** @param timings - nanoseconds of one step: compute, then waiting, of each shard in order */
  add(timings: readonly number[]): void;
  /** @param instanceIds - of the shards, in order, as the answer ended */
  read(instanceIds: readonly string[]): readonly HopTiming[];
}

export function createHopTimings(): HopTimings {
  const totals: number[] = [];
  return {
    add(timings) {
      for (const [index, nanoseconds] of timings.entries()) {
        totals[index] = (totals[index] ?? 0) + nanoseconds;
      }
    },
    read: (instanceIds) =>
      instanceIds.map((instanceId, index) => ({
        instanceId,
        computeMs: (totals[index * 2] ?? 0) / 1e6,
        waitMs: (totals[index * 2 + 1] ?? 0) / 1e6,
      })),
  };
}
