import { randomUUID } from 'node:crypto';
import type { ClientDuplexStream, Metadata } from '@grpc/grpc-js';
import { DataPlaneError } from '../../sdk/errors.ts';
import type { ConnectOptions } from './connection.ts';
import type { FlowLink } from './flow-link.ts';
import { fromStatus, isSaid } from './grpc-status.ts';
import { openFrameLink } from './link.ts';
import { createResumableStream } from './resumable-stream.ts';
import { metadataKeys } from './service.ts';

type Call = ClientDuplexStream<Buffer, Buffer>;

/** Shorter than a server holds what was cut off: nobody dials for what is not there any more. */
const defaultResumeMs = 3000;
const redialMs = 100;

export interface DialOptions
  extends Pick<
    ConnectOptions,
    'peerId' | 'connectTimeoutMs' | 'resumeMs' | 'maxQueuedFrames' | 'onResume'
  > {
  readonly subject: string;
  /** Begins a call over a connection that is there, or is made for it. */
  readonly call: (metadata: Metadata) => Call;
  /** Who calls, and the ticket. */
  readonly metadata: () => Metadata;
}

/** What a server itself said is final, and where nobody listens nobody holds the link; anything else is the way between. */
const isCut = (failure: Error | undefined): boolean =>
  !failure || (!isSaid(failure) && fromStatus(failure, '').code === 'SHARD_UNAVAILABLE');
const nobodyListens = (failure: Error): boolean => failure.message.includes('ECONNREFUSED');

/**
 * Opens a link that outlives the connection below it: when that is cut, it dials again, says how many messages it has, and
 * both sides send what the other lacks.
 */
export function dialLink(options: DialOptions): Promise<FlowLink> {
  const { subject, resumeMs = defaultResumeMs } = options;
  const id = randomUUID();
  let attempts = 0;
  const dial = (received?: number): Call => {
    const metadata = options.metadata();
    metadata.set(metadataKeys.link, id);
    if (received !== undefined) {
      attempts += 1;
      metadata.set(metadataKeys.received, String(received));
      metadata.set(metadataKeys.attempt, String(attempts));
    }
    return options.call(metadata);
  };

  let call = dial();
  const stream = createResumableStream({
    carrier: call,
    // Before the server's HELLO there is nothing to go on with.
    isLoss: (failure) => resumeMs > 0 && stream.received > 0 && isCut(failure),
    onLost: (failure) => void redial(failure),
  });

  /** @returns how many messages the server has; undefined: the way there is still cut */
  const reach = (again: Call, leftMs: number): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        again.cancel();
        resolve(undefined);
      }, leftMs);
      again.on('metadata', (metadata) => {
        clearTimeout(late);
        resolve(Number(metadata.get(metadataKeys.received)[0] ?? -1));
      });
      again.on('error', (failure) => {
        clearTimeout(late);
        if (nobodyListens(failure) || !isCut(failure)) reject(failure);
        else resolve(undefined);
      });
    });

  async function redial(failure: Error | undefined): Promise<void> {
    const cutAtMs = performance.now();
    const lost = failure ?? new DataPlaneError('SHARD_UNAVAILABLE', `${subject}: it was cut off.`);
    for (;;) {
      // Closed from this side, while this slept.
      if (!stream.lost) return;
      const leftMs = resumeMs - (performance.now() - cutAtMs);
      if (leftMs <= 0) return stream.giveUp(lost);
      try {
        // Throws where the connection was shut down meanwhile.
        call = dial(stream.received);
        const peerReceived = await reach(call, leftMs);
        // Closed from this side meanwhile.
        if (!stream.lost) return call.cancel();
        if (peerReceived !== undefined) {
          const messages = stream.resume(call, peerReceived);
          if (messages !== undefined) {
            options.onResume?.({ cutMs: performance.now() - cutAtMs, messages });
            return;
          }
          call.cancel();
          return stream.giveUp(lost);
        }
      } catch (final) {
        return stream.giveUp(final as Error);
      }
      await new Promise((resolve) => setTimeout(resolve, redialMs));
    }
  }

  return openFrameLink({
    stream,
    selfId: options.peerId,
    abort: (error) => {
      stream.giveUp(error);
      call.cancel();
    },
    toError: (error) => fromStatus(error, subject),
    ...(options.connectTimeoutMs === undefined ? {} : { helloTimeoutMs: options.connectTimeoutMs }),
    ...(options.maxQueuedFrames === undefined ? {} : { maxQueuedFrames: options.maxQueuedFrames }),
  });
}
