import type { SamplingParameters } from '../../sdk/sampling.ts';
import type { Recovery } from './surviving-session.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** What the gateway, the CLI's chat and a nested vDAG ask of the generation driver. */
export interface GenerateRequest {
  readonly tenant: string;
  readonly vdagUri: string;
  readonly prompt:
    | { readonly type: 'messages'; readonly messages: readonly ChatMessage[] }
    | { readonly type: 'text'; readonly text: string }
    | { readonly type: 'tokens'; readonly tokens: readonly number[] };
  readonly sampling: SamplingParameters;
  /** Absent: to the context's edge. */
  readonly maxTokens?: number;
  /** The answer ends before the first of these; it is neither shown nor counted. */
  readonly stop: readonly string[];
  readonly ignoreEndToken: boolean;
  /** A point in time: Unix milliseconds. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

export interface TokenChoice {
  readonly token: number;
  readonly text: string;
  /** Bytes of this token alone; a character may span several tokens. */
  readonly bytes: readonly number[];
  readonly logprob: number;
}

/** Where the time of an answer went; one entry a shard. */
export interface HopTiming {
  readonly instanceId: string;
  readonly computeMs: number;
  readonly waitMs: number;
}

export interface GenerationUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export type GenerationEvent =
  | { readonly type: 'prompt'; readonly tokens: readonly number[] }
  | {
      readonly type: 'token';
      readonly token: number;
      /** What became readable with this token; may be empty, and may hold text of earlier tokens. */
      readonly text: string;
      readonly choice?: TokenChoice & { readonly top: readonly TokenChoice[] };
    }
  | {
      readonly type: 'end';
      readonly finishReason: 'stop' | 'length';
      /** Text held back for a stop string or an unfinished character that turned out to be part of the answer. */
      readonly text: string;
      readonly usage: GenerationUsage;
      readonly timeToFirstTokenMs: number;
      readonly totalMs: number;
      readonly hops: readonly HopTiming[];
      /** Pauses in which a lost shard was replaced; the text is the one it would have been. */
      readonly recoveries: readonly Recovery[];
    };

/** Holds the tokenizer and no weights. */
export interface GenerationDriver {
  /**
   * Streams an answer. Ends the session in every shard when the consumer stops iterating, the signal aborts, or the
   * deadline passes.
   *
   * @throws {AiosError} CONTEXT_LENGTH_EXCEEDED, BUSY, SHARD_UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, NOT_FOUND
   */
  generate(request: GenerateRequest): AsyncIterable<GenerationEvent>;
  close(): Promise<void>;
}
