/** Both sides of one direction-pair of a link: what we may still send, and what the peer may. */
export interface CreditWindow {
  /** Frames we may still send; negative after CLOSE and FAIL were sent on credit not yet granted. */
  readonly sendable: number;
  /** The peer said how many frames it takes. */
  granted(frames: number): void;
  sent(): void;
  /** A frame came. @returns whether the peer had credit for it */
  received(): boolean;
  /** One received frame was dealt with. @returns grants to send now, 0 to wait for more */
  release(): number;
  /** The peer may send nothing any more, and grants for it wait for more. */
  readonly owes: boolean;
  /** @returns grants to send now where any are owed: what is held may be held for long */
  settle(): number;
}

/** @param initial - frames the peer was allowed in our HELLO; grants go out a quarter of that at a time */
export function createCreditWindow(initial: number): CreditWindow {
  const batch = Math.max(1, Math.floor(initial / 4));
  let sendable = 0;
  let receivable = initial;
  /** Received, not yet dealt with. A listener that releases twice gives nothing away. */
  let held = 0;
  let pending = 0;
  const give = () => {
    const frames = pending;
    pending = 0;
    receivable += frames;
    return frames;
  };
  return {
    get sendable() {
      return sendable;
    },
    granted(frames) {
      // A peer cannot make us overflow; write back-pressure bounds what a large grant lets out.
      sendable = Math.min(sendable + frames, 2 ** 31);
    },
    sent() {
      sendable -= 1;
    },
    received() {
      receivable -= 1;
      held += 1;
      return receivable >= 0;
    },
    release() {
      if (held === 0) return 0;
      held -= 1;
      pending += 1;
      return pending < batch ? 0 : give();
    },
    get owes() {
      return pending > 0 && receivable <= 0;
    },
    settle() {
      return pending > 0 && receivable <= 0 ? give() : 0;
    },
  };
}
