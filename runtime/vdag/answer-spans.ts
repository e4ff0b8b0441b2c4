import type { AiosError } from '../../sdk/errors.ts';
import { formatTraceparent, type Span, type Tracer } from '../tracing/index.ts';
import type { GenerateRequest } from './generation.ts';
import type { Recovery } from './surviving-session.ts';

/** One answer as spans: `generate`, and in it `admission`, `prefill`, `decode`; the shards' own join them there. */
export interface AnswerSpans {
  /** For the shards; absent where nobody would see their spans. */
  readonly traceparent: string | undefined;
  admitted(waitedMs: number): void;
  firstToken(promptTokens: number): void;
  token(): void;
  recovered(recovery: Recovery): void;
  ended(fault: AiosError | undefined): void;
}

export function startAnswerSpans(
  tracer: Tracer,
  { trace, tenant, client }: Pick<GenerateRequest, 'trace' | 'tenant' | 'client'>,
  modelUri: string,
): AnswerSpans {
  const whole = tracer.start({
    name: `generate ${modelUri}`,
    parent: trace,
    attributes: {
      ...{ 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': modelUri },
      ...{ 'aios.tenant': tenant, 'aios.client': client },
    },
  });
  const begin = (name: string): Span => tracer.start({ name, parent: whole.context });
  let phase: Span = begin('admission');
  let tokens = 0;

  function next(name: string): void {
    phase.end();
    phase = begin(name);
  }

  return {
    traceparent: whole.context.sampled ? formatTraceparent(whole.context) : undefined,
    admitted(waitedMs) {
      phase.set({ 'aios.waited_ms': waitedMs });
      next('prefill');
    },
    firstToken(promptTokens) {
      tokens = 1;
      const input = { 'gen_ai.usage.input_tokens': promptTokens };
      phase.set(input);
      whole.set(input);
      next('decode');
    },
    token() {
      tokens += 1;
    },
    recovered({ answeredTokens, pausedMs, attempts }) {
      whole.event('recovered', {
        ...{ 'aios.answered_tokens': answeredTokens, 'aios.paused_ms': pausedMs },
        'aios.attempts': attempts,
      });
    },
    ended(fault) {
      const error = fault && `${fault.code}: ${fault.message}`;
      const output = { 'gen_ai.usage.output_tokens': tokens };
      if (tokens > 0) phase.set(output);
      whole.set({ ...output, ...(fault ? { 'error.type': fault.code } : {}) });
      phase.end(error);
      whole.end(error);
    },
  };
}
