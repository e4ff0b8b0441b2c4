import type { SamplingParameters } from '../../sdk/sampling.ts';
import type { TraceContext } from '../tracing/index.ts';
import type { Recovery } from './surviving-session.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** What the gateway, the CLI's chat and a nested vDAG ask of the generation driver. */
export interface GenerateRequest {
  readonly tenant: string;
  readonly vdagUri: string;
  /** Who takes turns with others: an API key's name, or the request's `user`. @default all are one */
  readonly client?: string;
  /** The span that asks. @default the answer begins a trace of its own */
  readonly trace?: TraceContext | undefined;
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

/** Where the time of an answer went, one entry a shard: of the steps that gave a token. */
export interface HopTiming {
  readonly instanceId: string;
  readonly computeMs: number;
  readonly waitMs: number;
}

/** How long an answer waited, and how fast it then came. */
export interface AnswerTimes {
  /** For a place in the shards; part of the time to the first token. */
  readonly waitedMs: number;
  /** From one token to the next; absent with fewer than two. */
  readonly tokenMs?: { readonly mean: number; readonly p50: number; readonly p99: number };
  /** The parts of its mean: in the shards together, on the way between them, and here until the next step was sent. */
  readonly partsMs?: {
    /** Sampling included. */
    readonly computeMs: number;
    readonly waitMs: number;
    readonly wireMs: number;
    /** A reader who is slower than the answer is waited for here. */
    readonly driverMs: number;
  };
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
      readonly times: AnswerTimes;
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
