/** What is counted of the requests to one thing. */
export interface Tally {
  arrived: number;
  ended: number;
  failed: number;
  /** Of those that ended. */
  latencyMs: number;
  outstanding: number;
  /** Callers that wait until there is an instance to send to. */
  waiting: number;
}

/** Ends what it was given for. Calling it again counts nothing. */
export type End = (outcome?: { readonly ok: boolean }) => void;

/** Told of every request to a block or a vDAG; knows how many came, ended and failed, and how long they took. */
export interface RequestRecorder {
  /** A request was sent to an instance. */
  begin(tenant: string, blockId: string, instanceId: string): End;
  /** A request that the caller has timed itself. */
  observe(
    tenant: string,
    blockId: string,
    instanceId: string,
    latencyMs: number,
    ok: boolean,
  ): void;
  /** A caller waits for an instance. */
  wait(tenant: string, blockId: string): End;
  beginVdag(tenant: string, vdagUri: string): End;
}

export interface RequestTallies extends RequestRecorder {
  block(tenant: string, blockId: string): Readonly<Tally>;
  instance(tenant: string, blockId: string, instanceId: string): Readonly<Tally>;
  vdag(tenant: string, vdagUri: string): Readonly<Tally>;
  vdags(): readonly { readonly tenant: string; readonly uri: string }[];
  /** Forgets blocks and instances that are no more and have nothing under way. */
  keep(isThere: (tenant: string, blockId: string, instanceId?: string) => boolean): void;
}

/** A vDAG's URI may be anything that a client asks for; past this many, requests are not counted. */
const maxVdags = 2000;

const zero = (): Tally => ({
  ...{ arrived: 0, ended: 0, failed: 0, latencyMs: 0, outstanding: 0, waiting: 0 },
});
const none: Readonly<Tally> = Object.freeze(zero());
type Key = readonly [tenant: string, blockId: string, instanceId?: string];

export function createRequestTallies(clock: () => number): RequestTallies {
  const tallies = new Map<string, { readonly key: Key; readonly tally: Tally }>();
  const vdags = new Map<string, { readonly key: Key; readonly tally: Tally }>();

  function tallyOf(map: typeof tallies, key: Key): Tally {
    const text = JSON.stringify(key);
    const known = map.get(text);
    if (known) return known.tally;
    const tally = zero();
    if (map !== vdags || map.size < maxVdags) map.set(text, { key, tally });
    return tally;
  }
  const read = (map: typeof tallies, key: Key): Readonly<Tally> =>
    map.get(JSON.stringify(key))?.tally ?? none;
  const blockAndInstance = (tenant: string, blockId: string, instanceId: string) => [
    tallyOf(tallies, [tenant, blockId]),
    tallyOf(tallies, [tenant, blockId, instanceId]),
  ];

  function begin(counted: readonly Tally[]): End {
    const beganAt = clock();
    for (const tally of counted) {
      tally.arrived += 1;
      tally.outstanding += 1;
    }
    return once(({ ok }) => {
      for (const tally of counted) tally.outstanding -= 1;
      ended(counted, clock() - beganAt, ok);
    });
  }

  function ended(counted: readonly Tally[], latencyMs: number, ok: boolean): void {
    for (const tally of counted) {
      tally.ended += 1;
      tally.failed += ok ? 0 : 1;
      // A clock that was set back must not make the sum fall: it is read as a counter.
      tally.latencyMs += Math.max(0, latencyMs);
    }
  }

  return {
    begin: (tenant, blockId, instanceId) => begin(blockAndInstance(tenant, blockId, instanceId)),
    observe(tenant, blockId, instanceId, latencyMs, ok) {
      const counted = blockAndInstance(tenant, blockId, instanceId);
      for (const tally of counted) tally.arrived += 1;
      ended(counted, latencyMs, ok);
    },
    wait(tenant, blockId) {
      const tally = tallyOf(tallies, [tenant, blockId]);
      tally.waiting += 1;
      return once(() => {
        tally.waiting -= 1;
      });
    },
    beginVdag: (tenant, vdagUri) => begin([tallyOf(vdags, [tenant, vdagUri])]),
    block: (tenant, blockId) => read(tallies, [tenant, blockId]),
    instance: (tenant, blockId, instanceId) => read(tallies, [tenant, blockId, instanceId]),
    vdag: (tenant, vdagUri) => read(vdags, [tenant, vdagUri]),
    vdags: () => [...vdags.values()].map(({ key: [tenant, uri] }) => ({ tenant, uri })),
    keep(isThere) {
      for (const [text, { key, tally }] of tallies) {
        const busy = tally.outstanding > 0 || tally.waiting > 0;
        if (!busy && !isThere(...key)) tallies.delete(text);
      }
    },
  };
}

function once(end: (outcome: { readonly ok: boolean }) => void): End {
  let over = false;
  return (outcome = { ok: true }) => {
    if (over) return;
    over = true;
    end(outcome);
  };
}
