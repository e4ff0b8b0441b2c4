import type { Readings } from './history.ts';

/** Arithmetic over readings, oldest first. Nothing where there is too little to say anything. */

export function average({ values }: Readings): number | undefined {
  if (values.length === 0) return undefined;
  let total = 0;
  for (const value of values) total += value;
  return total / values.length;
}

export function largest({ values }: Readings): number | undefined {
  let most: number | undefined;
  for (const value of values) if (most === undefined || value > most) most = value;
  return most;
}

/** How much a counter grew. One that fell has started again from 0. */
export function increase({ values }: Readings): number | undefined {
  let before = values[0];
  if (before === undefined || values.length < 2) return undefined;
  let total = 0;
  for (const value of values.slice(1)) {
    total += value >= before ? value - before : value;
    before = value;
  }
  return total;
}

/** Growth of a counter per second. */
export function rate(readings: Readings): number | undefined {
  const { times } = readings;
  const grown = increase(readings);
  const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000;
  return grown === undefined || !(seconds > 0) ? undefined : grown / seconds;
}

/** A counter as its growth per second between neighbouring readings, at the later one's time. */
export function rates({ times, values }: Readings): Readings {
  const pairs = values.slice(1).map((value, at) => {
    const before = values[at] ?? 0;
    const seconds = ((times[at + 1] ?? 0) - (times[at] ?? 0)) / 1000;
    return (value >= before ? value - before : value) / seconds;
  });
  return { times: times.slice(1), values: pairs };
}

/** Least-squares slope per second; 0 where one reading is all there is. */
export function trend({ times, values }: Readings): number {
  const first = times[0];
  if (first === undefined || times.length < 2) return 0;
  // Against the first reading, in seconds: squares of Unix milliseconds would lose the difference.
  const seconds = times.map((time) => (time - first) / 1000);
  const meanTime = seconds.reduce((sum, time) => sum + time, 0) / seconds.length;
  const meanValue = values.reduce((sum, value) => sum + value, 0) / values.length;
  let covariance = 0;
  let variance = 0;
  for (const [at, time] of seconds.entries()) {
    covariance += (time - meanTime) * ((values[at] ?? 0) - meanValue);
    variance += (time - meanTime) ** 2;
  }
  return variance > 0 ? covariance / variance : 0;
}
