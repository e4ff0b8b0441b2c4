import type { SlotTokens } from './kv-cache.ts';
import { createStageSlots, type SlotMove } from './stage-slots.ts';

/** A step that came and was not computed yet. */
export interface WaitingStep {
  readonly id: number;
  readonly position: number;
  readonly rows: number;
  readonly input: ArrayBuffer;
  readonly sample: boolean;
}

/** Steps to compute now: a chunk of one session, or one row for each of adjacent slots. */
export interface StageWork {
  readonly type: 'chunk' | 'decode';
  /** Slots that change places first. */
  readonly swaps: readonly (readonly [SlotTokens, SlotTokens])[];
  /** Ascending and without gaps where they are more than one. */
  readonly steps: readonly (WaitingStep & { readonly slot: number; readonly session: number })[];
}

/** Positions of one slot to be copied into another. */
export interface SlotCopy extends SlotMove {
  readonly tokens: number;
}

/** What a stage computes next. Sessions are numbers that the opener chose. */
export interface StageScheduler {
  /**
   * @param shared - a session that is open or kept, whose first positions this one begins with
   * @returns the session's slot, and what to copy, in order
   */
  open(
    session: number,
    tenant: string,
    shared?: { readonly session: number; readonly tokens: number },
  ): { readonly slot: number; readonly copies: readonly SlotCopy[] };
  /**
   * Forgets the session and its steps.
   *
   * @param keep - whether others may still begin as it did, until its place is needed
   * @returns two slots that change places
   */
  close(session: number, keep?: boolean): readonly [SlotTokens, SlotTokens] | undefined;
  /** Steps of one session are computed in this order; those of a session that is not open are forgotten. */
  push(session: number, step: WaitingStep): void;
  /**
   * Takes the next work out; undefined when nothing waits.
   *
   * @param movableTokens - positions that may change their slot so that a batch has neighbours. @default 0
   */
  next(movableTokens?: number): StageWork | undefined;
  /** Whether rows that are on their way here would make the next batch larger. */
  readonly expectsMore: boolean;
  /** Forgets what waits of a session that stays open. @returns it */
  drop(session: number): readonly WaitingStep[];
}

export interface StageSchedulerOptions {
  readonly maxSessions: number;
  /** Parts that the sessions which decode are computed in, so that each shard of a chain has one to compute. */
  readonly microBatches: number;
  /** Whether to compute no more than one part at once. Otherwise whatever waits. */
  readonly splits: boolean;
}

interface Session {
  readonly tenant: Tenant;
  readonly waiting: (WaitingStep & { readonly order: number })[];
  heldTokens: number;
  /** Rows decoded by all sessions when this one last was; undefined before its first. */
  decodedAt?: number;
  /** Chunks computed of all sessions when the last of this one was. */
  servedAt: number;
}
interface Tenant {
  sessions: number;
  servedAt: number;
}

/**
 * Continuous batching. All steps of one row that wait are computed together, as far as their slots are adjacent or become so
 * for a small price: who is computed together then stays together, so it is seldom paid. Chunks
 * of prompts one at a time between them: after a chunk, every row that came meanwhile goes first, so a long prompt holds
 * nobody up for longer than one chunk. Among prompts the tenants take turns, and within a tenant its sessions.
 *
 * In a chain of k shards, a first shard that computed all sessions together would leave the others idle, then wait for
 * them: so it takes at most a k-th of those that decode at a time, in slot order. The shards after take what waits: the
 * parts stay apart as long as they keep up, and the slowest, where they meet, gains most from a larger batch.
 */
export function createStageScheduler(options: StageSchedulerOptions): StageScheduler {
  const { maxSessions, microBatches, splits } = options;
  const sessions = new Map<number, Session>();
  const slots = createStageSlots<number>(maxSessions);
  /** Positions of sessions that ended and are kept. */
  const keptTokens = new Map<number, number>();
  const tenants = new Map<string, Tenant>();
  let arrivals = 0;
  let decodedRows = 0;
  let chunks = 0;
  let queuedSteps = 0;
  /** Rows that came before this go before the next chunk. */
  let rowsFirstUntil = 0;
  let chunkRan = false;

  const isDecode = ({ rows, position }: WaitingStep) => rows === 1 && position > 0;
  const rowOf = (slot: number) => {
    const [step] = sessions.get(slots.at(slot) ?? -1)?.waiting ?? [];
    return step && isDecode(step) ? step : undefined;
  };

  function oldestRow(): { slot: number; order: number } | undefined {
    let oldest: { slot: number; order: number } | undefined;
    for (let slot = 0; slot < slots.size; slot += 1) {
      const step = rowOf(slot);
      if (step && step.order < (oldest?.order ?? Number.POSITIVE_INFINITY)) {
        oldest = { slot, order: step.order };
      }
    }
    return oldest;
  }

  /** Of the slots that wait outside of a range the one that is least likely to become its neighbour. */
  function farthestRow(first: number, end: number): number | undefined {
    let low = 0;
    let high = slots.size - 1;
    while (low < first && !rowOf(low)) low += 1;
    while (high >= end && !rowOf(high)) high -= 1;
    if (low >= first && high < end) return undefined;
    return first - low > high - end ? low : high;
  }

  function nextPrompt(): { session: number; of: Session } | undefined {
    let best: { session: number; of: Session } | undefined;
    for (const [session, of] of sessions) {
      const [step] = of.waiting;
      if (!step || isDecode(step)) continue;
      const later =
        best && (of.tenant.servedAt - best.of.tenant.servedAt || of.servedAt - best.of.servedAt);
      if (later === undefined || later < 0) best = { session, of };
    }
    return best;
  }

  /** Rows that a full batch has: of the sessions that decoded in the last two rounds, one part. */
  function partSize(): number {
    let active = 0;
    for (const { waiting, decodedAt } of sessions.values()) {
      const [step] = waiting;
      const lately = decodedAt !== undefined && decodedRows - decodedAt <= 2 * sessions.size;
      if (step ? isDecode(step) : lately) active += 1;
    }
    return Math.max(1, Math.ceil(active / microBatches));
  }

  function take(slot: number): StageWork['steps'][number] {
    const session = slots.at(slot) as number;
    const of = sessions.get(session) as Session;
    const step = of.waiting.shift() as WaitingStep;
    of.heldTokens = step.position + step.rows;
    queuedSteps -= 1;
    return { ...step, slot, session };
  }

  const heldAt = (slot: number) => sessions.get(slots.at(slot) ?? -1)?.heldTokens ?? 0;

  function takeRows(from: number, movableTokens: number): StageWork {
    const size = splits ? partSize() : slots.size;
    let first = from;
    let end = from + 1;
    // The part of its own neighbours, as slots are numbered, before any other.
    const begin = Math.floor(from / size) * size;
    while (first > begin && rowOf(first - 1)) first -= 1;
    const swaps: [SlotTokens, SlotTokens][] = [];
    let movable = movableTokens;
    while (end - first < size) {
      if (rowOf(end)) end += 1;
      else if (rowOf(first - 1)) first -= 1;
      else {
        const hole = end < slots.size ? end : first - 1;
        const other = farthestRow(first, end);
        if (other === undefined) break;
        const swap = [hole, other].map((slot) => ({ slot, tokens: heldAt(slot) }));
        const [a, b] = swap as [SlotTokens, SlotTokens];
        movable -= a.tokens + b.tokens;
        if (movable < 0) break;
        slots.swap(hole, other);
        swaps.push([a, b]);
      }
    }
    const steps = Array.from({ length: end - first }, (_, at) => take(first + at));
    for (const { session } of steps) {
      const of = sessions.get(session);
      if (of) of.decodedAt = decodedRows;
    }
    decodedRows += steps.length;
    return { type: 'decode', swaps, steps };
  }

  return {
    open(session, tenantName, shared) {
      const tenant = tenants.get(tenantName) ?? { sessions: 0, servedAt: chunks };
      tenants.set(tenantName, tenant);
      tenant.sessions += 1;
      const heldTokens = shared?.tokens ?? 0;
      sessions.set(session, { tenant, waiting: [], heldTokens, servedAt: chunks });
      if (shared) slots.touch(shared.session);
      const sharedSlot = shared && slots.slotOf(shared.session);
      const { slot, move } = slots.open(session);
      const copies: SlotCopy[] = [];
      if (move) copies.push({ ...move, tokens: keptTokens.get(slots.keptAt(move.to) ?? -1) ?? 0 });
      for (const gone of keptTokens.keys()) {
        if (slots.slotOf(gone) === undefined) keptTokens.delete(gone);
      }
      // Where it lies in this very slot, it stays there.
      if (shared && sharedSlot !== undefined && sharedSlot !== slot) {
        copies.push({ from: sharedSlot, to: slot, tokens: heldTokens });
      }
      return { slot, copies };
    },
    close(session, keep = false) {
      const closed = sessions.get(session);
      if (!closed) return undefined;
      sessions.delete(session);
      queuedSteps -= closed.waiting.length;
      closed.tenant.sessions -= 1;
      for (const [name, tenant] of tenants) if (tenant.sessions === 0) tenants.delete(name);
      const move = slots.close(session, keep);
      if (keep) keptTokens.set(session, closed.heldTokens);
      if (!move) return undefined;
      const tokens = keep ? closed.heldTokens : 0;
      return [
        { slot: move.from, tokens: heldAt(move.to) },
        { slot: move.to, tokens },
      ];
    },
    push(session, step) {
      const of = sessions.get(session);
      if (!of) return;
      of.waiting.push({ ...step, order: arrivals });
      arrivals += 1;
      queuedSteps += 1;
    },
    next(movableTokens = 0) {
      if (chunkRan) rowsFirstUntil = arrivals;
      chunkRan = false;
      const row = oldestRow();
      const prompt = nextPrompt();
      if (row && (!prompt || row.order < rowsFirstUntil)) return takeRows(row.slot, movableTokens);
      if (!prompt) return undefined;
      chunkRan = true;
      chunks += 1;
      prompt.of.servedAt = chunks;
      prompt.of.tenant.servedAt = chunks;
      return { type: 'chunk', swaps: [], steps: [take(slots.slotOf(prompt.session) as number)] };
    },
    get expectsMore() {
      if (queuedSteps === 0 || nextPrompt()) return false;
      let ready = 0;
      for (let slot = 0; slot < slots.size; slot += 1) if (rowOf(slot)) ready += 1;
      return ready < partSize();
    },
    drop(session) {
      const dropped = sessions.get(session)?.waiting.splice(0) ?? [];
      queuedSteps -= dropped.length;
      return dropped;
    },
  };
}
