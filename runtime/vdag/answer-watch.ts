import { AiosError } from '../../sdk/errors.ts';
import type { AnswerRecorder, AnswerTrack, RequestRecorder } from '../metrics/index.ts';
import type { Tracer } from '../tracing/index.ts';
import { startAnswerSpans } from './answer-spans.ts';
import type { GenerateRequest } from './generation.ts';
import type { Recovery } from './surviving-session.ts';

/** Who is told how answers go. */
export interface AnswerWatchers {
  /** Told of every request to a model. */
  readonly requests?: Pick<RequestRecorder, 'beginVdag'>;
  /** Told how every answer goes. */
  readonly answers?: AnswerRecorder;
  /** Makes the spans of each. @default none are made */
  readonly tracer?: Tracer;
}

/** Tells all of them about one answer. */
export interface AnswerWatch
  extends Pick<AnswerTrack, 'admitted' | 'firstToken' | 'token' | 'parts'> {
  /** For the shards, where the answer is traced. */
  readonly traceparent: string | undefined;
  recovered(recovery: Recovery): void;
  failed(error: unknown): void;
  /** Once, whatever became of it. @param whole - it came to its end */
  ended(whole: boolean): void;
}

export function watchAnswer(
  { requests, answers, tracer }: AnswerWatchers,
  request: GenerateRequest,
  modelUri: string,
): AnswerWatch {
  const { tenant } = request;
  const spans = tracer && startAnswerSpans(tracer, request, modelUri);
  const endRequest = requests?.beginVdag(tenant, modelUri);
  const track = answers?.begin(tenant, modelUri);
  let fault: AiosError | undefined;

  return {
    traceparent: spans?.traceparent,
    admitted(waitedMs, slots) {
      track?.admitted(waitedMs, slots);
      spans?.admitted(waitedMs);
    },
    firstToken(timeToFirstTokenMs, promptTokens) {
      track?.firstToken(timeToFirstTokenMs, promptTokens);
      spans?.firstToken(promptTokens);
    },
    token(tokenMs) {
      track?.token(tokenMs);
      spans?.token();
    },
    recovered: (recovery) => spans?.recovered(recovery),
    parts: (parts) => track?.parts(parts),
    failed(error) {
      fault = AiosError.from(error);
    },
    ended(whole) {
      // A caller that goes away is nobody's failure.
      const cancelled = fault ? fault.code === 'CANCELLED' : !whole;
      spans?.ended(fault);
      endRequest?.({ ok: !fault || cancelled });
      if (cancelled) track?.ended('cancelled');
      else track?.ended(fault ? (fault.code === 'BUSY' ? 'busy' : 'failed') : 'ok');
    },
  };
}
