/**
 * Lets sessions take turns: one step each, first come first served, a few handed over at a time so that the executor never
 * idles between two. A session's own steps keep their order.
 */
export interface Turns<S> {
  /** The session has something to do; harmless when it already stands in line. */
  enter(session: S): void;
  leave(session: S): void;
  /** Something that held turns back has changed. */
  advance(): void;
}

export interface TurnsOptions<S> {
  /** Turns under way at once. */
  readonly limit: number;
  /** Whether the session's result could go on now; until then others pass it. */
  readonly canGo: (session: S) => boolean;
  /** One turn; resolves when it is over, never rejects. @returns whether the session has more to do */
  readonly go: (session: S) => Promise<boolean>;
}

export function createTurns<S>({ limit, canGo, go }: TurnsOptions<S>): Turns<S> {
  const line = new Set<S>();
  const under = new Set<S>();

  const advance = () => {
    for (const session of line) {
      if (under.size >= limit) return;
      if (under.has(session) || !canGo(session)) continue;
      line.delete(session);
      under.add(session);
      void go(session).then((more) => {
        under.delete(session);
        if (more) line.add(session);
        advance();
      });
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
