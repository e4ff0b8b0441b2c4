import { Metadata, type ServerDuplexStream } from '@grpc/grpc-js';
import { DataPlaneError } from '../../sdk/errors.ts';
import type { MessageStream } from './flow-link.ts';
import { toStatus } from './grpc-status.ts';
import { createResumableStream, type ResumableStream } from './resumable-stream.ts';
import { metadataKeys } from './service.ts';

type Call = ServerDuplexStream<Buffer, Buffer>;

/** Longer than a client dials. */
const holdMs = 5000;
/** Cut off and held at once; beyond either the oldest is given up, of the peer that cuts so many or of all. */
const maxCutPerPeer = 8;
const maxCut = 64;

/** A server's side of links that outlive their connections. */
export interface HeldLinks {
  /**
   * The stream of a call, with how to end it; undefined where the call goes on with one that is there, or was refused.
   */
  accept(
    call: Call,
    peerId: string,
  ): { readonly stream: MessageStream; abort(error: Error): void } | undefined;
  close(): void;
}

interface Held {
  readonly peerId: string;
  readonly stream: ResumableStream;
  call: Call;
  /** Of the call: 0 is the one that opened the link. */
  attempt: number;
  timer?: NodeJS.Timeout;
}

const textOf = (metadata: Metadata, key: string): string => String(metadata.get(key)[0] ?? '');

/** @param selfId - for people */
export function createHeldLinks(selfId: string): HeldLinks {
  const links = new Map<string, Held>();
  /** Those without a connection, the longest first. */
  const cut = new Set<Held>();

  const endCall = (call: Call, message: string) =>
    call.emit('error', toStatus(new DataPlaneError('SHARD_UNAVAILABLE', message)));
  const refuse = (call: Call) =>
    endCall(call, `instance '${selfId}' does not hold this link any more. Open another.`);
  const replaced = (call: Call) => endCall(call, 'the link went on over another connection.');

  function goOn(key: string, call: Call, received: number): void {
    const held = links.get(key);
    if (!held) return void refuse(call);
    const attempt = Number(textOf(call.metadata, metadataKeys.attempt));
    if (!(attempt >= held.attempt)) return void replaced(call);
    held.attempt = attempt;
    const { stream, call: before } = held;
    clearTimeout(held.timer);
    cut.delete(held);
    // The client knows first where a connection was cut without a word.
    stream.release();
    replaced(before);
    const metadata = new Metadata();
    metadata.set(metadataKeys.received, String(stream.received));
    call.sendMetadata(metadata);
    held.call = call;
    if (stream.resume(call, received) !== undefined) return;
    refuse(call);
    stream.giveUp();
  }

  function giveUp({ stream, call }: Held): void {
    stream.giveUp();
    refuse(call);
  }

  function hold(held: Held): void {
    cut.add(held);
    held.timer = setTimeout(() => giveUp(held), holdMs);
    const own = [...cut].filter(({ peerId }) => peerId === held.peerId);
    const [oldest] = own.length > maxCutPerPeer ? own : cut.size > maxCut ? cut : [];
    if (oldest) giveUp(oldest);
  }

  return {
    accept(call, peerId) {
      const id = textOf(call.metadata, metadataKeys.link);
      if (id === '') {
        return { stream: call, abort: (error) => call.emit('error', toStatus(error)) };
      }
      const key = `${peerId} ${id}`;
      const received = textOf(call.metadata, metadataKeys.received);
      if (received !== '') {
        goOn(key, call, Number(received));
        return undefined;
      }
      const stream = createResumableStream({
        carrier: call,
        // What ends with an error was ended by this side.
        isLoss: (error) => error === undefined,
        onLost: () => hold(held),
      });
      const held: Held = { peerId, stream, call, attempt: 0 };
      links.set(key, held);
      stream.on('close', () => {
        clearTimeout(held.timer);
        if (links.get(key) === held) links.delete(key);
        cut.delete(held);
      });
      return {
        stream,
        abort: (error) => {
          stream.giveUp(error);
          held.call.emit('error', toStatus(error));
        },
      };
    },
    close() {
      for (const { stream } of [...links.values()]) stream.giveUp();
    },
  };
}
