import type { LoadMetrics, MetricWindow } from '../../sdk/metrics.ts';
import { History } from './history.ts';
import type { Tally } from './requests.ts';
import { gaugeWindow, rateWindow, ratioWindow } from './window.ts';

/** What is kept of a block, an instance or a vDAG. */
export const loadNames = [
  'ready',
  'outstanding',
  'queued',
  'arrived',
  'failed',
  'ended',
  'latencyMs',
  'cpuCores',
  'cpuFraction',
  'memoryBytes',
  'gpuFraction',
] as const;
export type LoadValues = Readonly<Partial<Record<(typeof loadNames)[number], number | undefined>>>;

/** Its counters, as they go into the history. */
export const countersOf = ({ arrived, failed, ended, latencyMs }: Readonly<Tally>): LoadValues => ({
  ...{ arrived, failed, ended, latencyMs },
});

/**
 * @param beganAtMs - when its counters were 0: what came before the first reading is growth, too
 */
export function loadHistory(capacity: number, beganAtMs: number): History {
  const history = new History(loadNames, capacity);
  history.record(beganAtMs, { arrived: 0, failed: 0, ended: 0, latencyMs: 0 });
  return history;
}

const still = (atMs: number): MetricWindow => ({
  ...{ last: 0, atMs, averages: { '1m': 0, '5m': 0, '15m': 0 }, max: 0, trendPerSecond: 0 },
  ...{ samples: 0, coveredMs: 0 },
});

const optional = <Name extends string>(name: Name, window: MetricWindow | undefined) =>
  (window ? { [name]: window } : {}) as { [N in Name]?: MetricWindow };

/** @param atMs - stands where nothing was recorded yet */
export function loadMetrics(
  history: History,
  tally: Readonly<Tally>,
  atMs: number,
): LoadMetrics & { readonly readyInstances: MetricWindow } {
  return {
    requestsTotal: tally.arrived,
    failuresTotal: tally.failed,
    readyInstances: gaugeWindow(history, 'ready') ?? still(atMs),
    outstandingRequests: gaugeWindow(history, 'outstanding') ?? still(atMs),
    queueLength: gaugeWindow(history, 'queued') ?? still(atMs),
    requestsPerSecond: rateWindow(history, 'arrived') ?? still(atMs),
    failuresPerSecond: rateWindow(history, 'failed') ?? still(atMs),
    ...optional('latencyMs', ratioWindow(history, 'latencyMs', 'ended')),
    ...optional('cpuUsedCores', gaugeWindow(history, 'cpuCores')),
    ...optional('cpuFraction', gaugeWindow(history, 'cpuFraction')),
    ...optional('memoryUsedBytes', gaugeWindow(history, 'memoryBytes')),
    ...optional('gpuUtilizationFraction', gaugeWindow(history, 'gpuFraction')),
  };
}
