import type { HopTiming } from './generation.ts';

/** Adds up where the time of an answer went. */
export interface HopTimings {
  /** @param timings - nanoseconds of one step: compute, then waiting, of each shard in order */
  add(timings: readonly number[]): void;
  read(): readonly HopTiming[];
}

export function createHopTimings(instanceIds: readonly string[]): HopTimings {
  const totals = new Float64Array(instanceIds.length * 2);
  return {
    add(timings) {
      for (let index = 0; index < totals.length; index++) {
        totals[index] = (totals[index] ?? 0) + (timings[index] ?? 0);
      }
    },
    read: () =>
      instanceIds.map((instanceId, index) => ({
        instanceId,
        computeMs: (totals[index * 2] ?? 0) / 1e6,
        waitMs: (totals[index * 2 + 1] ?? 0) / 1e6,
      })),
  };
}
