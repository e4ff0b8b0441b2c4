import type { TraceContext } from './trace-context.ts';

export type AttributeValue = string | number | boolean;
export type Attributes = Readonly<Record<string, AttributeValue | undefined>>;

export type SpanKind = 'internal' | 'server' | 'client';

export interface SpanEvent {
  readonly name: string;
  /** Unix milliseconds, with a fraction. */
  readonly atMs: number;
  readonly attributes: Attributes;
}

/** A span that is over. Times are Unix milliseconds, with a fraction. */
export interface FinishedSpan {
  readonly context: TraceContext;
  readonly parentSpanId?: string | undefined;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly attributes: Attributes;
  readonly events: readonly SpanEvent[];
  /** Why it failed. */
  readonly error?: string | undefined;
  /** Which process it is of, where it is not this one. */
  readonly instanceId?: string | undefined;
}

/** More are not kept: a span is bounded, whatever happens in it. */
const maxEvents = 32;

/** Something that takes time, while it does. */
export interface Span {
  readonly context: TraceContext;
  set(attributes: Attributes): void;
  event(name: string, attributes?: Attributes): void;
  /** Only the first end counts. @param error - why it failed */
  end(error?: string): void;
}

export interface SpanStart {
  readonly name: string;
  readonly kind?: SpanKind | undefined;
  readonly parent?: TraceContext | undefined;
  readonly attributes?: Attributes | undefined;
}

/** Unix milliseconds that never go back. */
const now = (): number => performance.timeOrigin + performance.now();

export function createSpan(
  { name, kind = 'internal', parent, attributes = {} }: SpanStart,
  context: TraceContext,
  onEnd: (span: FinishedSpan) => void,
): Span {
  const startedAtMs = now();
  const events: SpanEvent[] = [];
  let known = attributes;
  let ended = false;
  return {
    context,
    set(more) {
      known = { ...known, ...more };
    },
    event(eventName, about = {}) {
      if (events.length < maxEvents)
        events.push({ name: eventName, atMs: now(), attributes: about });
    },
    end(error) {
      if (ended) return;
      ended = true;
      onEnd({
        ...{ context, parentSpanId: parent?.spanId, name, kind, startedAtMs, endedAtMs: now() },
        ...{ attributes: known, events, error },
      });
    },
  };
}
