import { PolicyError } from '../../../sdk/errors.ts';

export interface SlotOptions {
  /** What they are of, for the message: `executor 'python'`. */
  readonly what: string;
  readonly atOnce: number;
  readonly waiting: number;
}

/** How long one waits for a slot. */
export interface Patience {
  readonly timeLimitMs: number;
  readonly signal?: AbortSignal | undefined;
}

interface Waiter {
  readonly admit: () => void;
}

/**
 * So many at once, so many waiting in order, and the others are told so. Nobody waits for longer than it may take: who holds
 * the slots may hold them for an hour.
 *
 * @throws {PolicyError} BUSY - too many wait, or no slot came free in time; CANCELLED
 */
export function createSlots({ what, atOnce, waiting }: SlotOptions) {
  const queue = new Set<Waiter>();
  let running = 0;

  function turn({ timeLimitMs, signal }: Patience): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', cancelled);
        queue.delete(waiter);
      };
      const waiter: Waiter = {
        admit() {
          leave();
          resolve();
        },
      };
      const cancelled = (): void => {
        leave();
        reject(new PolicyError('CANCELLED', `cancelled while it waited for ${what}.`));
      };
      const timer = setTimeout(() => {
        leave();
        const message = `${what} had no time for it within ${timeLimitMs} ms; retry later.`;
        reject(new PolicyError('BUSY', message));
      }, timeLimitMs);
      signal?.addEventListener('abort', cancelled, { once: true });
      queue.add(waiter);
    });
  }

  /** @param task - is told how much of its time is left */
  return async function inSlot<T>(
    patience: Patience,
    task: (leftMs: number) => Promise<T>,
  ): Promise<T> {
    const startedMs = performance.now();
    if (patience.signal?.aborted) {
      throw new PolicyError('CANCELLED', `cancelled before it asked ${what}.`);
    }
    if (running >= atOnce) {
      if (queue.size >= waiting) {
        throw new PolicyError('BUSY', `${what} has ${waiting} calls waiting; retry later.`);
      }
      // Whoever ends hands the slot on: nobody comes between.
      await turn(patience);
    } else {
      running += 1;
    }
    try {
      const spentMs = performance.now() - startedMs;
      return await task(Math.max(1, Math.ceil(patience.timeLimitMs - spentMs)));
    } finally {
      const [next] = queue;
      if (next) next.admit();
      else running -= 1;
    }
  };
}
