import { formatBytes, formatDuration } from '../../../sdk/units.ts';

/** Work until the estimate is worth saying. */
const settledMs = 2000;

/** Counts bytes of long work, and says how long the rest will take. */
export interface Pace {
  readonly fraction: number;
  add(bytes: number, kept: boolean): void;
  /** `1.2 GiB of 14.5 GiB, 3 min left` */
  say(): string;
}

/** @param now - milliseconds that only grow */
export function createPace(totalBytes: number, now: () => number = () => performance.now()): Pace {
  const startedMs = now();
  let doneBytes = 0;
  /** What was found done is checked many times faster than it is made. */
  let keptBytes = 0;
  return {
    get fraction() {
      return totalBytes === 0 ? 1 : Math.min(1, doneBytes / totalBytes);
    },
    add(bytes, kept) {
      doneBytes += bytes;
      if (kept) keptBytes += bytes;
    },
    say() {
      const amount = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
      const madeBytes = doneBytes - keptBytes;
      const spentMs = now() - startedMs;
      const leftBytes = totalBytes - doneBytes;
      if (spentMs < settledMs || madeBytes === 0 || leftBytes <= 0) return amount;
      const leftMs = (leftBytes * spentMs) / madeBytes;
      return `${amount}, ${formatDuration(Math.max(1000, leftMs))} left`;
    },
  };
}
