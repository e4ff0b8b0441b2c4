import type { ShardCounters } from '../../sdk/client/api.ts';
import type { Packet } from '../../sdk/packet.ts';
import type { Frame } from './frame.ts';
import type { LinkSpeed } from './link-meter.ts';

/** One bidirectional stream of frames between a pair of instances, or a driver and an instance. */
export interface FrameLink {
  readonly peerId: string;
  /**
   * Sends, or queues until the peer grants credit. HELLO and CREDIT are the link's own affair.
   * @throws {DataPlaneError} SHARD_UNAVAILABLE - the link is down; BUSY - the bounded queue is full
   */
  send(frame: Frame): void;
  /**
   * Sends a frame whose payload already lies in `buffer` from `payloadOffset` on, with room for the header before it:
   * nothing is copied.
   */
  sendInPlace(frame: Omit<Frame, 'payload'>, buffer: ArrayBuffer, payloadOffset: number): void;
  /** Every frame that is not HELLO or CREDIT. Call `grant` when one has been dealt with. */
  onFrame(listener: (frame: Frame) => void): void;
  /** Gives the peer one more credit; the link sends grants in batches. */
  grant(): void;
  /** Once, when the stream ended for any reason. */
  onDown(listener: (error: Error) => void): void;
  readonly queuedFrames: number;
  /** Frames the peer takes before it must grant more. Below 0 after urgent frames; less than a batch off while grants gather. */
  readonly credit: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly framesIn: number;
  readonly framesOut: number;
  readonly payloadCopies: number;
  /** As measured beside real frames; absent until an echo came. */
  readonly speed?: LinkSpeed | undefined;
  close(): void;
}

/** What an instance says of itself, about once a second and at every change of state. */
export interface InstanceSelfStatus {
  readonly instanceId: string;
  readonly state: 'loading' | 'ready' | 'draining' | 'failed';
  readonly error?: { readonly code: string; readonly message: string };
  readonly emptyResidentBytes: number;
  readonly residentBytes: number;
  readonly health?: { readonly status: 'healthy' | 'unhealthy'; readonly reason?: string };
  readonly counters?: ShardCounters;
  /** Traced sessions that are over since the last report. */
  readonly spans?: readonly ShardSpan[];
}

/** What one session did in one shard. */
export interface ShardSpan {
  /** W3C's: the span it belongs to. */
  readonly traceparent: string;
  /** Unix milliseconds. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly steps: number;
  /** Tokens, of the prompt and after. */
  readonly rows: number;
  /** Of the batches it was in. */
  readonly computeMs: number;
  readonly waitMs: number;
  /** Code of what ended it. */
  readonly error?: string;
}

/** A caller's side of one instance. Made by `connectInstance`; reconnecting is the caller's decision. */
export interface InstanceConnection {
  /** The one link for all sessions with this instance; opened on first use, opened again after it went down. */
  link(): Promise<FrameLink>;
  /**
   * Holds the instance's lease: sends a heartbeat every second until closed.
   * `onDown` is called once when the stream ends, unless `close` ended it.
   */
  attach(listeners: { onReport(status: InstanceSelfStatus): void; onDown(error: Error): void }): {
    drain(): void;
    close(): void;
  };
  /** Partial results, then the answer. @throws {AiosError} what the block threw, or SHARD_UNAVAILABLE */
  infer(
    packet: Packet,
    options: {
      /** A point in time: Unix milliseconds. */
      readonly deadlineMs: number;
      readonly signal: AbortSignal;
      readonly parameters?: Readonly<Record<string, unknown>>;
      /** W3C's: the span that the packet belongs to. */
      readonly traceparent?: string | undefined;
    },
  ): AsyncIterable<{ readonly final: boolean; readonly packet: Packet }>;
  close(): void;
}

export interface ConnectOptions {
  /** `host:port`. */
  readonly address: string;
  /** Who calls: `driver-…`, `control-…` or an instance id. */
  readonly peerId: string;
  /** From `mintTicket(secret, peerId)`, or from the session's route. */
  readonly ticket: string;
  /** Until the stream stands and HELLO has come. @default 5000 */
  readonly connectTimeoutMs?: number;
  /** How long a link whose connection was cut is dialled again before it is down. @default 3000 */
  readonly resumeMs?: number;
  /** Frames that may wait for credit before `send` refuses. @default 256 */
  readonly maxQueuedFrames?: number;
  /** A link goes on over another connection. */
  readonly onResume?: (resumed: {
    readonly cutMs: number;
    /** That were sent again. */
    readonly messages: number;
  }) => void;
}
