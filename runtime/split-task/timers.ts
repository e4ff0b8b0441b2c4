/** What is to happen later, one thing a name. */
export interface Timers {
  /** Does nothing once closed. */
  set(name: string, delayMs: number, then: () => void): void;
  clear(name: string): void;
  close(): void;
}

export function createTimers(): Timers {
  const timers = new Map<string, NodeJS.Timeout>();
  let closed = false;

  function clear(name: string): void {
    clearTimeout(timers.get(name));
    timers.delete(name);
  }
  return {
    clear,
    set(name, delayMs, then) {
      if (closed) return;
      clear(name);
      const timer = setTimeout(() => {
        timers.delete(name);
        then();
      }, delayMs);
      timers.set(name, timer);
    },
    close() {
      closed = true;
      for (const name of [...timers.keys()]) clear(name);
    },
  };
}
