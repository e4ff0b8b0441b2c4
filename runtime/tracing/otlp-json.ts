import type { Attributes, AttributeValue, FinishedSpan, SpanKind } from './span.ts';

/** Numbers of OTLP's enums. */
const kinds: Readonly<Record<SpanKind, number>> = { internal: 1, server: 2, client: 3 };
const statusError = 2;
const sampledFlag = 1;

function anyValue(value: AttributeValue): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  // 64-bit integers are strings in protobuf's JSON.
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

const keyValues = (attributes: Attributes): object[] =>
  Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined || (typeof value === 'number' && !Number.isFinite(value))
      ? []
      : [{ key, value: anyValue(value) }],
  );

/** A double holds Unix nanoseconds to the quarter of a microsecond; as text, it is an exact integer. */
const nanoseconds = (ms: number): string => String(BigInt(Math.round(ms * 1e3)) * 1000n);

function toSpan(span: FinishedSpan): object {
  const { context, parentSpanId, error } = span;
  return {
    traceId: context.traceId,
    spanId: context.spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    flags: sampledFlag,
    name: span.name,
    kind: kinds[span.kind],
    startTimeUnixNano: nanoseconds(span.startedAtMs),
    endTimeUnixNano: nanoseconds(Math.max(span.startedAtMs, span.endedAtMs)),
    attributes: keyValues(span.attributes),
    events: span.events.map(({ name, atMs, attributes }) => ({
      timeUnixNano: nanoseconds(atMs),
      name,
      attributes: keyValues(attributes),
    })),
    ...(error === undefined ? {} : { status: { code: statusError, message: error } }),
  };
}

/** The body of `POST /v1/traces`, in OTLP's JSON: a resource for this process, and one for each other that spans are of. */
export function otlpBody(spans: readonly FinishedSpan[], resource: Attributes): string {
  const byInstance = new Map<string | undefined, FinishedSpan[]>();
  for (const span of spans) {
    byInstance.set(span.instanceId, [...(byInstance.get(span.instanceId) ?? []), span]);
  }
  return JSON.stringify({
    resourceSpans: [...byInstance].map(([instanceId, own]) => ({
      resource: {
        attributes: keyValues(
          instanceId === undefined ? resource : { ...resource, 'service.instance.id': instanceId },
        ),
      },
      scopeSpans: [{ scope: { name: 'aios' }, spans: own.map(toSpan) }],
    })),
  });
}
