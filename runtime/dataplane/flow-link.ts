import type { AiosError } from '../../sdk/errors.ts';
import type { FrameLink } from './connection.ts';

/** A duplex of whole messages: a grpc-js stream of either side, or a test's pair in memory. */
export interface MessageStream {
  write(message: Buffer): boolean;
  end(): void;
  on(event: 'data', listener: (message: Buffer) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'drain' | 'end' | 'close', listener: () => void): unknown;
}

export interface FrameLinkOptions {
  readonly stream: MessageStream;
  readonly selfId: string;
  /** Who it must be: what the peer's ticket proved. Absent: whoever HELLO says. */
  readonly expectedPeerId?: string;
  /** Ends the stream with this error's status. */
  readonly abort: (error: AiosError) => void;
  /** What the stream's own failure means. */
  readonly toError: (error: Error) => AiosError;
  /** @default 5000 */
  readonly helloTimeoutMs?: number;
  /** Frames the peer may send before it waits for grants. @default 64 */
  readonly initialCredit?: number;
  /** Frames that may wait for credit before `send` refuses. @default 256 */
  readonly maxQueuedFrames?: number;
}

/** What an instance needs of a link beyond the contract. */
export interface FlowLink extends FrameLink {
  /** Whether a frame given now would leave at once. */
  readonly sendable: boolean;
  readonly up: boolean;
  readonly longestQueueFrames: number;
  /** After every time `sendable` became true again. */
  onSendable(listener: () => void): void;
  /** A frame that could not be read. Without a listener the link answers it with FAIL itself. */
  onMalformed(listener: (error: AiosError, session: string) => void): void;
}
