import { Metadata, type ServerDuplexStream } from '@grpc/grpc-js';
import { DataPlaneError } from '../../sdk/errors.ts';
import type { MessageStream } from './flow-link.ts';
import { toStatus } from './grpc-status.ts';
import { createResumableStream, type ResumableStream } from './resumable-stream.ts';
import { metadataKeys } from './service.ts';

type Call = ServerDuplexStream<Buffer, Buffer>;

/** Longer than a client dials. */
const holdMs = 5000;
/** Cut off and held at once; a peer that opens and cuts more has the oldest given up. */
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
  readonly stream: ResumableStream;
  call: Call;
  timer?: NodeJS.Timeout;
}

const textOf = (metadata: Metadata, key: string): string => String(metadata.get(key)[0] ?? '');

/** @param selfId - for people */
export function createHeldLinks(selfId: string): HeldLinks {
  const links = new Map<string, Held>();
  /** Those without a connection, the longest first. */
  const cut = new Set<string>();

  const refuse = (call: Call) =>
    call.emit(
      'error',
      toStatus(
        new DataPlaneError(
          'SHARD_UNAVAILABLE',
          `instance '${selfId}' does not hold this link any more. Open another.`,
        ),
      ),
    );

  function goOn(key: string, call: Call, received: number): void {
    const held = links.get(key);
    if (!held) return void refuse(call);
    const { stream, call: before } = held;
    clearTimeout(held.timer);
    cut.delete(key);
    // The client knows first where a connection was cut without a word.
    stream.release();
    before.destroy();
    const metadata = new Metadata();
    metadata.set(metadataKeys.received, String(stream.received));
    call.sendMetadata(metadata);
    held.call = call;
    if (stream.resume(call, received) !== undefined) return;
    refuse(call);
    stream.giveUp();
  }

  function hold(key: string): void {
    const held = links.get(key);
    if (!held) return;
    cut.add(key);
    held.timer = setTimeout(() => {
      held.stream.giveUp();
      held.call.end();
    }, holdMs);
    const [oldest] = cut;
    if (cut.size > maxCut && oldest !== undefined) links.get(oldest)?.stream.giveUp();
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
        onLost: () => hold(key),
      });
      const held: Held = { stream, call };
      links.set(key, held);
      stream.on('close', () => {
        clearTimeout(held.timer);
        links.delete(key);
        cut.delete(key);
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
