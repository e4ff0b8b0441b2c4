const firstDelayMs = 500;
const longestDelayMs = 30_000;
/** An instance that lived this long makes earlier failures forgotten. */
export const healthyAfterMs = 60_000;

/** Before the next try: none after the first failure, then doubling from 0.5 s up to 30 s. */
export function backoffMs(failures: number): number {
  if (failures <= 1) return 0;
  return Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(failures - 2, 20));
}
