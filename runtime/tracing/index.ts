export { tracerFromEnvironment } from './from-environment.ts';
export { createOtlpExporter, type OtlpExporterOptions } from './otlp-exporter.ts';
export { createSampler, type SamplerName } from './sampler.ts';
export { recordShardSpans } from './shard-spans.ts';
export type { Attributes, FinishedSpan, Span } from './span.ts';
export {
  formatTraceparent,
  parseTraceparent,
  type TraceContext,
} from './trace-context.ts';
export { createTracer, type SpanSink, type Tracer } from './tracer.ts';
