import { ClientError } from '../errors.ts';
import type { Http } from './http.ts';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** One question to a model. Names are ours; on the wire they are OpenAI's. */
export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  /** 0: greedy. @default the model's own */
  readonly temperature?: number | undefined;
  readonly topK?: number | undefined;
  readonly topP?: number | undefined;
  readonly repetitionPenalty?: number | undefined;
  readonly seed?: number | undefined;
  /** @default to the context's edge */
  readonly maxTokens?: number | undefined;
  readonly stop?: readonly string[] | undefined;
  /** How long the whole answer may take. @default the server's own limit */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where the time of an answer went, in one shard. */
export interface HopTiming {
  readonly instanceId: string;
  readonly computeMs: number;
  readonly waitMs: number;
}

/** How long an answer waited, and how fast it then came; on the server. */
export interface AnswerTimings {
  readonly timeToFirstTokenMs: number;
  readonly totalMs: number;
  /** For a place in the shards; part of the time to the first token. */
  readonly waitedMs: number;
  /** From one token to the next; absent with fewer than two. */
  readonly tokenMs?: { readonly mean: number; readonly p50: number; readonly p99: number };
  /** The parts of its mean: in the shards together, on the way between them, and in the driver. */
  readonly partsMs?: {
    readonly computeMs: number;
    readonly waitMs: number;
    readonly wireMs: number;
    readonly driverMs: number;
  };
}

export type ChatEvent =
  /** The prompt as the model saw it, its chat template applied. Once, first. */
  | { readonly type: 'prompt'; readonly tokens: readonly number[] }
  | { readonly type: 'text'; readonly text: string; readonly tokens: readonly number[] }
  /** Its timings are absent when the server does not say. */
  | ({
      readonly type: 'end';
      readonly finishReason: string;
      readonly promptTokens: number;
      readonly completionTokens: number;
      /** Where the time went, one entry a shard; empty when the server does not say. */
      readonly hops: readonly HopTiming[];
    } & Partial<AnswerTimings>);

interface Chunk {
  readonly choices: readonly {
    readonly delta?: { readonly content?: string | null };
    readonly token_ids?: readonly number[] | null;
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
  /** vLLM's, on the first chunk. */
  readonly prompt_token_ids?: readonly number[];
  /** Ours, on the last chunk. */
  readonly aios?: AnswerTimings & { readonly hops: readonly HopTiming[] };
}

function toBody(request: ChatRequest): Record<string, unknown> {
  return {
    model: request.model,
    messages: request.messages,
    stream: true,
    stream_options: { include_usage: true },
    return_token_ids: true,
    temperature: request.temperature,
    top_k: request.topK,
    top_p: request.topP,
    repetition_penalty: request.repetitionPenalty,
    seed: request.seed,
    max_tokens: request.maxTokens,
    stop: request.stop?.length ? request.stop : undefined,
  };
}

/** Streams an answer. Stopping the iteration or aborting the signal ends the session in every shard. */
export async function* streamChat(
  http: Http,
  request: ChatRequest,
): AsyncGenerator<ChatEvent, void, void> {
  let finishReason: string | undefined;
  let usage = { prompt_tokens: 0, completion_tokens: 0 };
  let measured: Chunk['aios'];
  const { signal, timeoutMs } = request;
  const options = { json: toBody(request), signal, timeoutMs };
  for await (const chunk of http.events<Chunk>('/v1/chat/completions', options)) {
    if (chunk.prompt_token_ids) yield { type: 'prompt', tokens: chunk.prompt_token_ids };
    const choice = chunk.choices[0];
    const text = choice?.delta?.content ?? '';
    const tokens = choice?.token_ids ?? [];
    if (text !== '' || tokens.length > 0) yield { type: 'text', text, tokens };
    finishReason = choice?.finish_reason ?? finishReason;
    usage = chunk.usage ?? usage;
    measured = chunk.aios ?? measured;
  }
  if (finishReason === undefined) {
    throw new ClientError(
      'CONNECTION_FAILED',
      `the answer of '${request.model}' was cut off; ask again.`,
    );
  }
  yield {
    type: 'end',
    finishReason,
    promptTokens: usage.prompt_tokens,
    completionTokens: usage.completion_tokens,
    hops: [],
    ...measured,
  };
}
