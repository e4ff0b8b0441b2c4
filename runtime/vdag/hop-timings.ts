import type { AnswerTimes, HopTiming } from './generation.ts';

/** Adds up where the time of an answer went. */
export interface HopTimings {
  /** The step for the next token went out. */
  sent(atMs: number): void;
  /**
   * A token came.
   *
   * @param timings - nanoseconds of its step: compute, then waiting, of each shard in order
   * @returns milliseconds since the token before; undefined for the first
   */
  add(timings: readonly number[], atMs: number): number | undefined;
  /** @param instanceIds - of the shards, in order, as the answer ended */
  hops(instanceIds: readonly string[]): readonly HopTiming[];
  readonly times: Pick<AnswerTimes, 'tokenMs' | 'partsMs'>;
}

/** The smallest that no more than this part of the values is above. */
function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0;
}

export function createHopTimings(): HopTimings {
  const totals: number[] = [];
  const tokenMs: number[] = [];
  const parts = { computeMs: 0, waitMs: 0, wireMs: 0, driverMs: 0 };
  let sentAtMs = 0;
  let cameAtMs: number | undefined;

  /** The prompt's steps are not among them: only its last says how long it took. */
  function addParts(timings: readonly number[], atMs: number, beforeMs: number): void {
    let shardsMs = 0;
    for (const [index, nanoseconds] of timings.entries()) {
      shardsMs += nanoseconds / 1e6;
      parts[index % 2 === 0 ? 'computeMs' : 'waitMs'] += nanoseconds / 1e6;
    }
    parts.driverMs += Math.max(0, sentAtMs - beforeMs);
    parts.wireMs += Math.max(0, atMs - Math.max(sentAtMs, beforeMs) - shardsMs);
  }

  return {
    sent(atMs) {
      sentAtMs = atMs;
    },
    add(timings, atMs) {
      for (const [index, nanoseconds] of timings.entries()) {
        totals[index] = (totals[index] ?? 0) + nanoseconds;
      }
      const before = cameAtMs;
      cameAtMs = atMs;
      if (before === undefined) return undefined;
      addParts(timings, atMs, before);
      tokenMs.push(atMs - before);
      return atMs - before;
    },
    hops: (instanceIds) =>
      instanceIds.map((instanceId, index) => ({
        instanceId,
        computeMs: (totals[index * 2] ?? 0) / 1e6,
        waitMs: (totals[index * 2 + 1] ?? 0) / 1e6,
      })),
    get times() {
      const count = tokenMs.length;
      if (count === 0) return {};
      const sorted = tokenMs.toSorted((a, b) => a - b);
      const mean = tokenMs.reduce((sum, one) => sum + one, 0) / count;
      return {
        tokenMs: { mean, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) },
        partsMs: {
          ...{ computeMs: parts.computeMs / count, waitMs: parts.waitMs / count },
          ...{ wireMs: parts.wireMs / count, driverMs: parts.driverMs / count },
        },
      };
    },
  };
}
