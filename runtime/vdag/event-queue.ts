/** Values pushed by one side and iterated by the other, in order; the writer waits while the reader is behind. */
export interface EventQueue<T> extends AsyncIterable<T> {
  /** Resolves once there is room again; at once when the queue has ended. */
  push(value: T): Promise<void>;
  /** What was pushed is still read, then the error is thrown. */
  end(error?: unknown): void;
}

/** @param capacity - values that may wait for the reader */
export function createEventQueue<T extends object>(capacity: number): EventQueue<T> {
  const values: T[] = [];
  let ended = false;
  let failure: { readonly error: unknown } | undefined;
  let waiting: (() => void)[] = [];
  const changed = () => {
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };
  const change = () => new Promise<void>((resolve) => waiting.push(resolve));
  return {
    async push(value) {
      if (ended) return;
      values.push(value);
      changed();
      while (values.length > capacity && !ended) await change();
    },
    end(error) {
      ended = true;
      if (error !== undefined) failure ??= { error };
      changed();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        const value = values.shift();
        if (value !== undefined) {
          changed();
          yield value;
        } else if (failure) throw failure.error;
        else if (ended) return;
        else await change();
      }
    },
  };
}
