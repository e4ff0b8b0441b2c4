import type { PolicyJob } from '../../sdk/client/control.ts';

export const keptLimits = {
  /** Ended ones, of one tenant. */
  kept: 1000,
  keptMs: 7 * 24 * 3_600_000,
  /** JSON text of their answers and logs together, of one tenant. The newest is kept whatever its size. */
  keptCharacters: 64 * 2 ** 20,
} as const;

interface Ended {
  readonly id: string;
  readonly endedAtMs: number;
  readonly characters: number;
}

/** What ended, tenant by tenant, so that what is too much or too old is known without reading any of it. */
export function createKept() {
  /** The oldest first. */
  const tenants = new Map<string, Ended[]>();

  return {
    add(tenant: string, { id, endedAtMs = 0, output, logs }: PolicyJob): void {
      const characters = JSON.stringify([output ?? null, logs]).length;
      const ended = tenants.get(tenant) ?? [];
      ended.push({ id, endedAtMs, characters });
      tenants.set(tenant, ended);
    },
    drop(tenant: string, id: string): void {
      const left = (tenants.get(tenant) ?? []).filter((one) => one.id !== id);
      if (left.length > 0) tenants.set(tenant, left);
      else tenants.delete(tenant);
    },
    /** @returns the ids of those that are to go */
    excess(tenant: string, nowMs: number): readonly string[] {
      const ended = tenants.get(tenant) ?? [];
      let characters = 0;
      // From the newest on: one that does not fit takes all before it along.
      const fitting = [...ended].reverse().findIndex((one, at) => {
        characters += one.characters;
        const isTooMuch = at > 0 && characters > keptLimits.keptCharacters;
        return at >= keptLimits.kept || isTooMuch || one.endedAtMs < nowMs - keptLimits.keptMs;
      });
      return fitting < 0 ? [] : ended.slice(0, ended.length - fitting).map(({ id }) => id);
    },
  };
}
