import { PolicyError } from '../../../sdk/errors.ts';

export interface SlotOptions {
  /** What they are of, for the message: `executor 'python'`. */
  readonly what: string;
  readonly atOnce: number;
  readonly waiting: number;
}

/** So many at once, so many waiting in order, and the others are told so. */
export function createSlots({ what, atOnce, waiting }: SlotOptions) {
  const queue: (() => void)[] = [];
  let running = 0;

  return async function inSlot<T>(task: () => Promise<T>): Promise<T> {
    if (running >= atOnce) {
      if (queue.length >= waiting) {
        throw new PolicyError('BUSY', `${what} has ${waiting} calls waiting; retry later.`);
      }
      // Whoever ends hands the slot on: nobody comes between.
      await new Promise<void>((resolve) => queue.push(resolve));
    } else {
      running += 1;
    }
    try {
      return await task();
    } finally {
      const next = queue.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
