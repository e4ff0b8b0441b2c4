import { type MetricWindow, type WindowName, windowMs } from '../../sdk/metrics.ts';
import type { History, Readings } from './history.ts';
import { average, increase, largest, rate, rates, trend } from './series.ts';

const trendWindowMs = windowMs['5m'];
const longestMs = windowMs['15m'];
const names = ['1m', '5m', '15m'] as const satisfies readonly WindowName[];

const within = (readings: Readings, endMs: number, lengthMs: number): Readings => {
  const from = readings.times.findIndex((time) => time >= endMs - lengthMs);
  return from < 0
    ? { times: [], values: [] }
    : { times: readings.times.slice(from), values: readings.values.slice(from) };
};

/** @param averageOver - undefined where the window is too short: the next longer one's stands for it */
function windowOf(
  readings: Readings,
  averageOver: (lengthMs: number) => number | undefined,
): MetricWindow | undefined {
  const last = readings.values.at(-1);
  const atMs = readings.times.at(-1);
  if (last === undefined || atMs === undefined) return undefined;
  const averages = { '1m': last, '5m': last, '15m': last };
  let longer = last;
  for (const name of names.toReversed()) {
    longer = averageOver(windowMs[name]) ?? longer;
    averages[name] = longer;
  }
  return {
    last,
    atMs,
    averages,
    max: largest(readings) ?? last,
    trendPerSecond: trend(within(readings, atMs, trendWindowMs)),
    samples: readings.values.length,
    coveredMs: atMs - (readings.times[0] ?? atMs),
  };
}

/** Of a value that goes up and down. */
export function gaugeWindow(history: History, name: string): MetricWindow | undefined {
  const readings = history.readings(name, longestMs);
  const end = readings.times.at(-1) ?? 0;
  return windowOf(readings, (lengthMs) => average(within(readings, end, lengthMs)));
}

/** Of a counter's growth per second. The first reading says only where it began: a rate of 0. */
export function rateWindow(history: History, name: string): MetricWindow | undefined {
  const counted = history.readings(name, longestMs);
  const [first] = counted.times;
  if (first === undefined) return undefined;
  const grown = rates(counted);
  const end = counted.times.at(-1) ?? first;
  return windowOf(grown.values.length > 0 ? grown : { times: [first], values: [0] }, (lengthMs) =>
    rate(within(counted, end, lengthMs)),
  );
}

/** Of what one counter grew by for each step of another: a latency is milliseconds by requests. */
export function ratioWindow(
  history: History,
  numerator: string,
  denominator: string,
): MetricWindow | undefined {
  const above = history.readings(numerator, longestMs);
  const below = history.readings(denominator, longestMs);
  const times: number[] = [];
  const values: number[] = [];
  const [tops, bottoms] = [rates(above).values, rates(below).values];
  for (const [at, bottom] of bottoms.entries()) {
    // Nothing ended between these two readings: that is no average of 0.
    if (!(bottom > 0)) continue;
    times.push(below.times[at + 1] ?? 0);
    values.push((tops[at] ?? 0) / bottom);
  }
  const end = below.times.at(-1) ?? 0;
  return windowOf({ times, values }, (lengthMs) => {
    const steps = increase(within(below, end, lengthMs)) ?? 0;
    return steps > 0 ? (increase(within(above, end, lengthMs)) ?? 0) / steps : undefined;
  });
}
