/**
 * Hands the steps of sessions over to the executor, which computes together what it has: one each in turn, as many sessions
 * as there are, a few steps of each so that it never idles between two. A session's own steps keep their order.
 */
export interface Turns<S> {
  /** The session has something to do; harmless when it already stands in line. */
  enter(session: S): void;
  leave(session: S): void;
  /** Something that held turns back has changed. */
  advance(): void;
}

export interface TurnsOptions<S> {
  /** Turns of one session under way at once. */
  readonly limit: number;
  /** Whether the session's result could go on now; until then others pass it. */
  readonly canGo: (session: S) => boolean;
  /** One turn; resolves when it is over, never rejects. */
  readonly go: (session: S) => Promise<void>;
  /** Whether the session has another turn to take. */
  readonly hasMore: (session: S) => boolean;
}

export function createTurns<S>({ limit, canGo, go, hasMore }: TurnsOptions<S>): Turns<S> {
  const line = new Set<S>();
  const under = new Map<S, number>();

  /** @returns whether the session took a turn */
  const take = (session: S): boolean => {
    const taken = under.get(session) ?? 0;
    if (taken >= limit || !canGo(session)) return false;
    under.set(session, taken + 1);
    void go(session).then(() => {
      const left = (under.get(session) ?? 1) - 1;
      if (left === 0) under.delete(session);
      else under.set(session, left);
      advance();
    });
    if (!hasMore(session)) line.delete(session);
    return true;
  };

  const advance = () => {
    for (let moved = true; moved; ) {
      moved = false;
      // Who takes a turn goes to the end of the line.
      for (const session of [...line]) {
        if (!take(session)) continue;
        moved = true;
        if (line.delete(session)) line.add(session);
      }
    }
  };

  return {
    enter(session) {
      line.add(session);
      advance();
    },
    leave(session) {
      line.delete(session);
    },
    advance,
  };
}
