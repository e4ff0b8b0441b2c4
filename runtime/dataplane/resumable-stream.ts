import type { MessageStream } from './flow-link.ts';
import { farewell, readNote, receivedNote } from './link-notes.ts';
import { createResendBuffer } from './resend-buffer.ts';

/** An acknowledgement goes out after this much has come. */
const acknowledgedMessages = 32;
const acknowledgedBytes = 256 * 2 ** 10;

/** A stream of messages that outlives the connections that carry it: none comes twice, none is missing. */
export interface ResumableStream extends MessageStream {
  /** Messages of the peer that have come. */
  readonly received: number;
  /** The connection that carries it is gone, and another may take its place. */
  readonly lost: boolean;
  /** Lets go of the connection, if it has one: another is about to take its place. */
  release(): void;
  /**
   * Goes on over another connection; what the peer lacks is sent again.
   *
   * @param peerReceived - messages of this side that the peer has
   * @returns how many were sent again; undefined: they are not kept any more
   */
  resume(carrier: MessageStream, peerReceived: number): number | undefined;
  /** No other connection takes its place. */
  giveUp(error?: Error): void;
}

export interface ResumableOptions {
  readonly carrier: MessageStream;
  /** Whether a connection that ended this way (without an error: it was cut) may be replaced. */
  readonly isLoss: (error: Error | undefined) => boolean;
  /** Once for every lost connection: dial again, or wait until the peer does. */
  readonly onLost: (error: Error | undefined) => void;
}

type Listeners = {
  data: ((message: Buffer) => void)[];
  error: ((error: Error) => void)[];
  drain: (() => void)[];
  end: (() => void)[];
  close: (() => void)[];
};

export function createResumableStream(options: ResumableOptions): ResumableStream {
  const listeners: Listeners = { data: [], error: [], drain: [], end: [], close: [] };
  const resend = createResendBuffer();
  /** What it goes over now; what others still say is not heard. */
  let current: MessageStream | undefined;
  let received = 0;
  let unacknowledged = 0;
  let unacknowledgedBytes = 0;
  /** One side has said farewell: a connection that closes now is not lost. */
  let ending = false;
  let over = false;

  const tell = (event: 'drain' | 'end' | 'close') => {
    for (const listener of listeners[event]) listener();
  };

  function finish(error: Error | undefined): void {
    if (over) return;
    over = true;
    current = undefined;
    resend.close();
    if (error) for (const listener of listeners.error) listener(error);
    tell('close');
  }

  function ended(carrier: MessageStream, error: Error | undefined): void {
    if (carrier !== current || over) return;
    current = undefined;
    if (ending || !options.isLoss(error)) finish(error);
    else options.onLost(error);
  }

  function take(carrier: MessageStream, message: Buffer): void {
    if (carrier !== current) return;
    const note = readNote(message);
    if (note) {
      if (note.type === 'received') resend.acknowledged(note.messages);
      else ending = true;
      return;
    }
    received += 1;
    unacknowledged += 1;
    unacknowledgedBytes += message.length;
    if (unacknowledged >= acknowledgedMessages || unacknowledgedBytes >= acknowledgedBytes) {
      unacknowledged = 0;
      unacknowledgedBytes = 0;
      carrier.write(receivedNote(received));
    }
    for (const listener of listeners.data) listener(message);
  }

  function carryOver(carrier: MessageStream): void {
    current = carrier;
    carrier.on('error', (error) => ended(carrier, error));
    carrier.on('close', () => ended(carrier, undefined));
    carrier.on('end', () => {
      // gRPC tells a server of a cut connection as of a client that has nothing more to say.
      if (!ending) ended(carrier, undefined);
      else if (carrier === current && !over) tell('end');
    });
    carrier.on('drain', () => {
      if (carrier === current) tell('drain');
    });
    carrier.on('data', (message) => take(carrier, message));
  }

  carryOver(options.carrier);

  return {
    get received() {
      return received;
    },
    get lost() {
      return current === undefined && !over;
    },
    write(message) {
      resend.push(message);
      return current?.write(message) ?? false;
    },
    end() {
      if (!current) return finish(undefined);
      if (!ending) current.write(farewell);
      ending = true;
      current.end();
    },
    on(event: keyof Listeners, listener: never) {
      listeners[event].push(listener);
    },
    release() {
      current = undefined;
    },
    resume(carrier, peerReceived) {
      const missing = resend.since(peerReceived);
      if (over || !missing) return undefined;
      unacknowledged = 0;
      unacknowledgedBytes = 0;
      carryOver(carrier);
      let writable = true;
      for (const message of missing) writable = carrier.write(message);
      if (writable) tell('drain');
      return missing.length;
    },
    giveUp: finish,
  };
}
