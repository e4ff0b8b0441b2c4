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
    /** @param atWork - how many of a tenant run */
    next(atWork: (tenant: string) => number): Waiting | undefined {
      let best = 0;
      for (const [at, { tenant }] of waiting.entries()) {
        if (atWork(tenant) < atWork(waiting[best]?.tenant ?? tenant)) best = at;
      }
      return waiting.splice(best, 1)[0];
    },
  };
}
