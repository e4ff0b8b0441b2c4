interface Waiting {
  readonly tenant: string;
  readonly id: string;
}

/** Jobs that wait, in order of submission; of several tenants, the one with the fewest at work comes first. */
export function createQueue() {
  const waiting: Waiting[] = [];

  return {
    add(tenant: string, id: string): void {
      waiting.push({ tenant, id });
    },
    sizeOf: (tenant: string): number => waiting.filter((one) => one.tenant === tenant).length,
    /** @returns whether it waited */
    remove(tenant: string, id: string): boolean {
      const at = waiting.findIndex((one) => one.tenant === tenant && one.id === id);
      if (at >= 0) waiting.splice(at, 1);
      return at >= 0;
    },
    /**
     * @param atWork - how many of a tenant run
     * @param mayRun - those it refuses keep their places
     */
    next(
      atWork: (tenant: string) => number,
      mayRun: (one: Waiting) => boolean = () => true,
    ): Waiting | undefined {
      let best: Waiting | undefined;
      for (const one of waiting) {
        if (!mayRun(one)) continue;
        if (!best || atWork(one.tenant) < atWork(best.tenant)) best = one;
      }
      if (best) waiting.splice(waiting.indexOf(best), 1);
      return best;
    },
  };
}
