import { AiosError, BlockError } from '../../sdk/errors.ts';

/** A packet that asks for its turn. */
export interface TurnRequest {
  readonly sessionId: string;
  readonly bytes: number;
  /** Unix milliseconds. */
  readonly deadlineMs: number;
  /** Aborts when nobody wants the answer any more. */
  readonly signal: AbortSignal;
}

/** A packet's place at the shard. */
export interface Place {
  /**
   * Resolves when it is the packet's turn, and never once nobody wants its answer.
   *
   * @throws {AiosError} the signal's reason; DEADLINE_EXCEEDED; what `refuse` was given
   */
  turn(): Promise<void>;
  /** Gives the turn to the next. */
  endTurn(): void;
  /** Gives the place free, and the turn where it has not ended. */
  leave(): void;
}

/**
 * The packets at a shard: a few have their turn, the others wait. Sessions take turns; a session's own packets keep their
 * order.
 */
export interface GraphTurns {
  /** Packets that have a place. */
  readonly held: number;
  readonly waiting: number;
  /** @throws {AiosError} BUSY - all places are taken; what `refuse` was given */
  enter(request: TurnRequest): Place;
  /** Takes no more packets. @param withWaiting - and fails those that wait */
  refuse(error: AiosError, withWaiting?: boolean): void;
  /** Resolves when all places are free. */
  idle(): Promise<void>;
}

export interface GraphTurnsOptions {
  readonly instanceId: string;
  /** Packets that have their turn at once. */
  readonly atOnce: number;
  /** Packets here at once. */
  readonly maxHeld: number;
  /** Of them together; a packet alone may be larger. */
  readonly maxHeldBytes: number;
  /** Unix milliseconds. @default Date.now */
  readonly now?: () => number;
}

interface Waiting {
  readonly request: TurnRequest;
  readonly go: () => void;
  readonly fail: (error: AiosError) => void;
}

export function createGraphTurns(options: GraphTurnsOptions): GraphTurns {
  const { instanceId, atOnce, maxHeld, maxHeldBytes, now = Date.now } = options;
  /** By session; who took a turn goes to the end. */
  const lines = new Map<string, Waiting[]>();
  let held = 0;
  let heldBytes = 0;
  let waiting = 0;
  let running = 0;
  let refusal: AiosError | undefined;
  const idle: (() => void)[] = [];

  function next(): Waiting | undefined {
    const [first] = lines;
    if (!first) return undefined;
    const [sessionId, line] = first;
    const one = line.shift();
    lines.delete(sessionId);
    if (line.length > 0) lines.set(sessionId, line);
    waiting -= 1;
    return one;
  }

  function advance(): void {
    while (running < atOnce) {
      const one = next();
      if (!one) return;
      if (one.request.deadlineMs > now()) one.go();
      else one.fail(tooLate());
    }
  }

  /** Someone who leaves the line before the turn came. */
  function remove(one: Waiting): void {
    const { sessionId } = one.request;
    const line = lines.get(sessionId) ?? [];
    const at = line.indexOf(one);
    if (at < 0) return;
    line.splice(at, 1);
    if (line.length === 0) lines.delete(sessionId);
    waiting -= 1;
  }

  const tooLate = () =>
    new AiosError(
      'DEADLINE_EXCEEDED',
      `the deadline passed while the packet waited for its turn at '${instanceId}'. Allow more time or ask for less.`,
    );

  function assertRoom(bytes: number): void {
    if (refusal) throw refusal;
    if (held < maxHeld && (held === 0 || heldBytes + bytes <= maxHeldBytes)) return;
    throw new BlockError(
      'BUSY',
      `'${instanceId}' already has ${held} packets of ${heldBytes} bytes. Try again in a second.`,
      { details: { retryAfterMs: 1000 } },
    );
  }

  /** @param begin - its turn has come */
  function stand(request: TurnRequest, begin: () => void): Promise<void> {
    const { sessionId, signal } = request;
    return new Promise<void>((resolve, reject) => {
      const stop = () => signal.removeEventListener('abort', abort);
      const one: Waiting = {
        request,
        go() {
          stop();
          begin();
          resolve();
        },
        fail(error) {
          stop();
          reject(error);
        },
      };
      const abort = () => {
        remove(one);
        one.fail(AiosError.from(signal.reason, 'CANCELLED'));
      };
      signal.addEventListener('abort', abort, { once: true });
      const line = lines.get(sessionId);
      if (line) line.push(one);
      else lines.set(sessionId, [one]);
      waiting += 1;
      if (signal.aborted) abort();
      else advance();
    });
  }

  return {
    get held() {
      return held;
    },
    get waiting() {
      return waiting;
    },
    enter(request) {
      assertRoom(request.bytes);
      held += 1;
      heldBytes += request.bytes;
      let hasTurn = false;
      let gone = false;
      const endTurn = () => {
        if (!hasTurn) return;
        hasTurn = false;
        running -= 1;
        advance();
      };
      return {
        turn: () =>
          stand(request, () => {
            hasTurn = true;
            running += 1;
          }),
        endTurn,
        leave() {
          if (gone) return;
          gone = true;
          endTurn();
          held -= 1;
          heldBytes -= request.bytes;
          if (held > 0) return;
          for (const tell of idle.splice(0)) tell();
        },
      };
    },
    refuse(error, withWaiting = false) {
      refusal = error;
      if (!withWaiting) return;
      for (let one = next(); one; one = next()) one.fail(error);
    },
    async idle() {
      if (held > 0) await new Promise<void>((resolve) => idle.push(resolve));
    },
  };
}
