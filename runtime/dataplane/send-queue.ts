import { DataPlaneError } from '../../sdk/errors.ts';
import type { FrameType } from './frame.ts';

interface Queued {
  readonly type: FrameType;
  readonly session: string;
  readonly message: Buffer;
}

/** Frames that wait for credit, in order, bounded in number and bytes. */
export interface SendQueue {
  readonly length: number;
  readonly longest: number;
  /** @throws {DataPlaneError} BUSY - the queue is full */
  push(frame: Queued): void;
  shift(): Buffer | undefined;
  /** Drops a session's frames. @returns whether its OPEN was among them: the peer never heard of the session */
  drop(session: string): boolean;
  clear(): void;
}

const maxQueuedBytes = 64 * 2 ** 20;

export function createSendQueue(peerId: () => string, maxFrames: number): SendQueue {
  let frames: Queued[] = [];
  let bytes = 0;
  let longest = 0;
  return {
    get length() {
      return frames.length;
    },
    get longest() {
      return longest;
    },
    push(frame) {
      if (frames.length >= maxFrames || bytes + frame.message.length > maxQueuedBytes) {
        throw new DataPlaneError(
          'BUSY',
          `session '${frame.session}': ${frames.length} frames (${bytes} bytes) already wait for '${peerId()}'. Send more slowly or try again.`,
          { details: { retryAfterMs: 1000 } },
        );
      }
      frames.push(frame);
      bytes += frame.message.length;
      longest = Math.max(longest, frames.length);
    },
    shift() {
      const frame = frames.shift();
      if (frame) bytes -= frame.message.length;
      return frame?.message;
    },
    drop(session) {
      const dropped = frames.filter((frame) => frame.session === session);
      if (dropped.length === 0) return false;
      frames = frames.filter((frame) => frame.session !== session);
      for (const frame of dropped) bytes -= frame.message.length;
      return dropped.some(({ type }) => type === 'open');
    },
    clear() {
      frames = [];
      bytes = 0;
    },
  };
}
