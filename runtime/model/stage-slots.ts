/** The used positions of one slot must be copied into another. */
export interface SlotMove {
  readonly from: number;
  readonly to: number;
}

/** Which slot of the KV buffer each session has. */
export interface StageSlots<S> {
  /** Sessions that are open. */
  readonly size: number;
  /**
   * @returns the session's slot, the first after all others, and what to copy out of it before: a session that has ended and
   * is kept
   */
  open(session: S): { readonly slot: number; readonly move?: SlotMove };
  /** Of a session that is open or kept. */
  slotOf(session: S): number | undefined;
  /** The open session in a slot. */
  at(slot: number): S | undefined;
  /**
   * @param keep - whether its memory stays readable until the place is needed; of what is kept the oldest goes first
   * @returns two slots that change places; where it is not kept, `to` may just be overwritten with `from`
   */
  close(session: S, keep?: boolean): SlotMove | undefined;
  /** Lets two open sessions change places. */
  swap(a: number, b: number): void;
  /** A kept session was read: it becomes the newest. */
  touch(session: S): void;
  /** The kept session in a slot. */
  keptAt(slot: number): S | undefined;
}

/**
 * Keeps slots dense: n open sessions have the slots 0 to n - 1, so that any neighbours are a batch. The hole that a session
 * leaves is filled at once by the last one, not by the next to come: so the shards of a chain, which hear of the same
 * sessions in about the same order, have the same neighbours, and what one computed together the next can, too.
 */
export function createStageSlots<S>(capacity: number): StageSlots<S> {
  const sessions: S[] = [];
  const slots = new Map<S, number>();
  /** Oldest first; their slots are all after those of open sessions. */
  const kept = new Set<S>();

  const forget = (session: S) => {
    kept.delete(session);
    slots.delete(session);
  };
  /** A slot after `slot` that nobody has. */
  const freeAfter = (slot: number): number => {
    const taken = new Set([...kept].map((session) => slots.get(session)));
    let free = slot + 1;
    while (taken.has(free)) free += 1;
    return free;
  };

  return {
    get size() {
      return sessions.length;
    },
    open(session) {
      const [oldest] = kept;
      if (oldest !== undefined && sessions.length + kept.size >= capacity) forget(oldest);
      const slot = sessions.length;
      const inTheWay = [...kept].find((one) => slots.get(one) === slot);
      const to = freeAfter(slot);
      if (inTheWay !== undefined) slots.set(inTheWay, to);
      sessions.push(session);
      slots.set(session, slot);
      return inTheWay === undefined ? { slot } : { slot, move: { from: slot, to } };
    },
    slotOf: (session) => slots.get(session),
    at: (slot) => sessions[slot],
    close(session, keep = false) {
      const hole = slots.get(session);
      if (hole === undefined || sessions[hole] !== session) return undefined;
      slots.delete(session);
      const last = sessions.pop() as S;
      if (keep) {
        kept.add(session);
        slots.set(session, sessions.length);
      }
      if (hole === sessions.length) return undefined;
      sessions[hole] = last;
      slots.set(last, hole);
      return { from: sessions.length, to: hole };
    },
    swap(a, b) {
      const [first, second] = [sessions[a], sessions[b]];
      if (first === undefined || second === undefined) return;
      sessions[a] = second;
      sessions[b] = first;
      slots.set(first, b).set(second, a);
    },
    touch(session) {
      if (kept.delete(session)) kept.add(session);
    },
    keptAt: (slot) => [...kept].find((session) => slots.get(session) === slot),
  };
}
