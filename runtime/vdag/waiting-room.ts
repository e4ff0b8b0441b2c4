import type { GenerationLimits } from '../../sdk/spec/vdag.ts';
import { type AnswerPace, createAnswerPace } from './answer-pace.ts';
import { busyError } from './busy-error.ts';
import { createTurnLine } from './turn-line.ts';

/** One answer's place in the shards of a model. */
export interface Place {
  /** Until now, all waits together. */
  readonly waitedMs: number;
  /** Gives it back; safe to call twice. */
  leave(): void;
  /**
   * A shard had no room after all: waits again, before those that had no turn yet.
   *
   * @throws {AiosError} BUSY - too many wait, or it took too long; why the signal aborted
   */
  again(): Promise<void>;
}

/** Where answers of one model wait for room in its shards: bounded, and clients take turns. */
export interface WaitingRoom {
  readonly pace: AnswerPace;
  readonly waiting: number;
  /** Answers that have a place. */
  readonly open: number;
  /**
   * @param limits - as the model's document has them now
   * @throws {AiosError} BUSY - too many wait, or it took too long; why the signal aborted
   */
  enter(client: string, limits: GenerationLimits, signal: AbortSignal): Promise<Place>;
  /** Lets in whoever there is room for. */
  advance(): void;
}

export interface WaitingRoomOptions {
  /** Names the model in errors. */
  readonly modelUri: string;
  /** Whether there is room for one more, as far as is known; the shards have the last word. */
  readonly hasRoom: () => boolean;
  /** Told when somebody stays in line. */
  readonly onWaiting: () => void;
  /** Told of every place that is taken, and given back. */
  readonly onTaken: () => void;
  readonly onGiven: () => void;
}

interface Entering {
  readonly client: string;
  readonly limits: GenerationLimits;
  readonly beganAt: number;
  /** In the line, once it stood there. */
  arrival?: number;
}

interface Entry extends Entering {
  admit(): void;
  refuse(error: unknown): void;
}

/** After a shard refused what should have had room, none is tried before a place is given back or this has passed. */
const refusedMs = 150;

export function createWaitingRoom(options: WaitingRoomOptions): WaitingRoom {
  const { modelUri, hasRoom, onWaiting, onTaken, onGiven } = options;
  const line = createTurnLine<Entry>();
  const pace = createAnswerPace();
  const openOf = new Map<string, number>();
  let open = 0;
  let refusedUntil = 0;
  let mostOfClient = Number.POSITIVE_INFINITY;

  const mayEnter = (client: string) => (openOf.get(client) ?? 0) < mostOfClient;

  function count(client: string, by: 1 | -1): void {
    open += by;
    const now = (openOf.get(client) ?? 0) + by;
    if (now === 0) openOf.delete(client);
    else openOf.set(client, now);
  }

  function advance(): void {
    if (performance.now() < refusedUntil) return;
    while (hasRoom()) {
      const next = line.take(mayEnter);
      if (!next) return;
      count(next.client, 1);
      onTaken();
      next.admit();
    }
  }

  function give(client: string): void {
    count(client, -1);
    onGiven();
  }

  const refusal = ({ client, limits, beganAt }: Entering, why: 'full' | 'late') =>
    busyError({
      ...{ modelUri, limits, why, open, waiting: line.size, answerMs: pace.answerMs },
      clientOpen: openOf.get(client) ?? 0,
      waitedMs: performance.now() - beganAt,
    });

  /** Resolves when it is this one's turn. */
  function turn(entering: Entering, signal: AbortSignal): Promise<void> {
    const { client, limits, beganAt } = entering;
    return new Promise((resolve, reject) => {
      const settled = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', gone);
      };
      const entry: Entry = {
        ...{ client, limits, beganAt },
        admit() {
          settled();
          resolve();
        },
        refuse(error) {
          settled();
          reject(error);
        },
      };
      const gone = () => {
        if (line.remove(client, entry)) entry.refuse(signal.reason);
      };
      const late = () => {
        if (line.remove(client, entry)) entry.refuse(refusal(entry, 'late'));
      };
      const leftMs = limits.maxWaitMs - (performance.now() - beganAt);
      const timer = setTimeout(late, Math.max(0, leftMs));
      signal.addEventListener('abort', gone);
      if (entering.arrival === undefined) entering.arrival = line.push(client, entry);
      else line.putBack(client, entry, entering.arrival);
      advance();
      if (line.size > 0) onWaiting();
      if (line.size <= limits.maxWaiting) return;
      // Of the client that has most in line: nobody is kept out by another who asked more often.
      const dropped = line.dropFor(client);
      dropped?.refuse(refusal(dropped, 'full'));
    });
  }

  return {
    pace,
    get waiting() {
      return line.size;
    },
    get open() {
      return open;
    },
    advance,
    async enter(client, limits, signal) {
      signal.throwIfAborted();
      mostOfClient = limits.maxSessionsPerClient ?? Number.POSITIVE_INFINITY;
      const entering: Entering = { client, limits, beganAt: performance.now() };
      await turn(entering, signal);
      let waitedMs = performance.now() - entering.beganAt;
      let held = true;
      return {
        get waitedMs() {
          return waitedMs;
        },
        leave() {
          if (!held) return;
          held = false;
          refusedUntil = 0;
          give(client);
        },
        async again() {
          held = false;
          refusedUntil = performance.now() + refusedMs;
          give(client);
          await turn(entering, signal);
          held = true;
          waitedMs = performance.now() - entering.beganAt;
        },
      };
    },
  };
}
