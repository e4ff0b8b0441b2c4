import type { VdagMetrics } from '../../sdk/metrics.ts';
import type { History } from './history.ts';
import { countersOf, loadHistory, loadMetrics } from './load-metrics.ts';
import type { RequestTallies } from './requests.ts';

export interface VdagCollector {
  take(atMs: number): void;
  vdag(tenant: string, uri: string): VdagMetrics | undefined;
  uris(tenant: string): readonly string[];
  readonly historyBytes: number;
}

/** Keeps the history of every vDAG that was asked for. */
export function createVdagCollector(options: {
  readonly tallies: RequestTallies;
  readonly capacity: number;
  /** Between readings. */
  readonly intervalMs: number;
  readonly staleAfterMs: number;
}): VdagCollector {
  const { tallies, capacity, intervalMs, staleAfterMs } = options;
  const histories = new Map<string, History>();
  let takenAtMs = 0;
  return {
    take(atMs) {
      takenAtMs = atMs;
      for (const { tenant, uri } of tallies.vdags()) {
        const key = JSON.stringify([tenant, uri]);
        const history = histories.get(key) ?? loadHistory(capacity, atMs - intervalMs);
        histories.set(key, history);
        const tally = tallies.vdag(tenant, uri);
        history.record(atMs, { ...countersOf(tally), outstanding: tally.outstanding });
      }
    },
    vdag(tenant, uri) {
      const history = histories.get(JSON.stringify([tenant, uri]));
      if (!history) return undefined;
      const load = loadMetrics(history, tallies.vdag(tenant, uri), takenAtMs);
      return {
        ...{ type: 'vdag', id: uri, tenant, collectedAtMs: takenAtMs, staleAfterMs },
        requestsTotal: load.requestsTotal,
        failuresTotal: load.failuresTotal,
        outstandingRequests: load.outstandingRequests,
        requestsPerSecond: load.requestsPerSecond,
        failuresPerSecond: load.failuresPerSecond,
        ...(load.latencyMs ? { latencyMs: load.latencyMs } : {}),
      };
    },
    uris: (tenant) =>
      tallies
        .vdags()
        .filter((one) => one.tenant === tenant)
        .map(({ uri }) => uri)
        .sort(),
    get historyBytes() {
      return [...histories.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    },
  };
}
