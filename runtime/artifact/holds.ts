/** Who works with a blob, and since when nobody does: a blob that somebody counts on is not removed. */
export interface Holds {
  /**
   * Works with a blob, once no removal of it is under way; none begins before the work is done.
   * That it went well is remembered: whoever was told that a blob is there may be about to refer to it.
   */
  using<T>(hash: string, work: () => Promise<T>): Promise<T>;
  /** Removes a blob. @returns undefined, and does nothing, where it is in use or was used since `unusedSinceMs` */
  removing<T>(hash: string, unusedSinceMs: number, work: () => Promise<T>): Promise<T | undefined>;
  isHeld(hash: string, unusedSinceMs: number): boolean;
}

/** What was used is remembered as long as the process lives: one number a blob. */
export function createHolds(now: () => number): Holds {
  const users = new Map<string, number>();
  const usedAtMs = new Map<string, number>();
  const removals = new Map<string, Promise<unknown>>();

  const isHeld: Holds['isHeld'] = (hash, unusedSinceMs) =>
    users.has(hash) ||
    removals.has(hash) ||
    (usedAtMs.get(hash) ?? Number.NEGATIVE_INFINITY) >= unusedSinceMs;

  return {
    isHeld,
    async using(hash, work) {
      // Before anything is awaited: a removal looks here when it begins.
      users.set(hash, (users.get(hash) ?? 0) + 1);
      try {
        await removals.get(hash);
        const result = await work();
        usedAtMs.set(hash, now());
        return result;
      } finally {
        const left = (users.get(hash) ?? 1) - 1;
        if (left > 0) users.set(hash, left);
        else users.delete(hash);
      }
    },
    async removing(hash, unusedSinceMs, work) {
      if (isHeld(hash, unusedSinceMs)) return undefined;
      const removal = work();
      // Whoever waits for the end of it then looks for itself what came of it.
      removals.set(
        hash,
        removal.catch(() => undefined),
      );
      try {
        const result = await removal;
        if (result !== undefined) usedAtMs.delete(hash);
        return result;
      } finally {
        removals.delete(hash);
      }
    },
  };
}
