import type { Sampler } from './sampler.ts';
import { createSpan, type FinishedSpan, type Span, type SpanStart } from './span.ts';
import { newSpanId, newTraceId } from './trace-context.ts';

/** Where finished spans go. */
export interface SpanSink {
  /** Never throws and never waits. */
  add(span: FinishedSpan): void;
  /** Since the start. */
  readonly exported: number;
  readonly dropped: number;
  close(): Promise<void>;
}

/** Makes spans. What is not sampled costs next to nothing and is passed on as such. */
export interface Tracer {
  start(start: SpanStart): Span;
  /** One that was measured elsewhere: its parent's trace decides whether it is exported. */
  record(span: Omit<FinishedSpan, 'context' | 'events'> & Pick<SpanStart, 'parent'>): void;
  readonly counts: { readonly exported: number; readonly dropped: number };
  /** Exports what is left, for a moment. */
  close(): Promise<void>;
}

export function createTracer(sampler: Sampler, sink: SpanSink): Tracer {
  return {
    start(start) {
      const { parent } = start;
      const traceId = parent?.traceId ?? newTraceId();
      const sampled = sampler(traceId, parent);
      return createSpan(start, { traceId, spanId: newSpanId(), sampled }, (span) => {
        if (sampled) sink.add(span);
      });
    },
    record({ parent, ...span }) {
      if (!parent?.sampled) return;
      const context = { traceId: parent.traceId, spanId: newSpanId(), sampled: true };
      sink.add({ ...span, context, parentSpanId: parent.spanId, events: [] });
    },
    get counts() {
      return { exported: sink.exported, dropped: sink.dropped };
    },
    close: () => sink.close(),
  };
}
