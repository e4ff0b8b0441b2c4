import { createOtlpExporter } from './otlp-exporter.ts';
import { createSampler, type SamplerName, samplerNames } from './sampler.ts';
import type { Attributes } from './span.ts';
import { createTracer, type Tracer } from './tracer.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const defaultServiceName = 'aios';

/** `a=b,c=d`, values percent-encoded, as OpenTelemetry writes headers and attributes. */
function readPairs(text: string | undefined): Record<string, string> {
  const pairs = (text ?? '').split(',').flatMap((pair) => {
    const at = pair.indexOf('=');
    const key = pair.slice(0, at).trim();
    if (at < 1 || key === '') return [];
    const value = pair.slice(at + 1).trim();
    try {
      return [[key, decodeURIComponent(value)] as const];
    } catch {
      return [[key, value] as const];
    }
  });
  return Object.fromEntries(pairs);
}

/** Whether every header can be sent: fetch's own error would show its value. */
function checkedHeaders(
  headers: Record<string, string>,
  warn: (sentence: string) => void,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name, value]) => {
      try {
        new Headers({ [name]: value });
        return true;
      } catch {
        warn('a header in OTEL_EXPORTER_OTLP_HEADERS cannot be sent and is left out.');
        return false;
      }
    }),
  );
}

function readUrl(env: Environment, warn: (sentence: string) => void): string | undefined {
  const own = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT;
  const shared = env.OTEL_EXPORTER_OTLP_ENDPOINT;
  const text = own || (shared ? `${shared.replace(/\/+$/, '')}/v1/traces` : undefined);
  if (text === undefined) return undefined;
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  warn('OTEL_EXPORTER_OTLP_ENDPOINT is no http or https address; no traces are exported.');
  return undefined;
}

/**
 * Traces as OpenTelemetry's environment variables ask for them.
 *
 * @returns nothing where no endpoint is named, or the SDK is disabled
 */
export function tracerFromEnvironment(
  env: Environment,
  log: (line: string) => void,
): Tracer | undefined {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true') return undefined;
  if (env.OTEL_TRACES_EXPORTER === 'none') return undefined;
  const warn = (sentence: string) => log(`tracing: ${sentence}`);
  const url = readUrl(env, warn);
  if (url === undefined) return undefined;

  /** Of the traces alone, or of everything. */
  const otlp = (name: string) =>
    env[`OTEL_EXPORTER_OTLP_TRACES_${name}`] || env[`OTEL_EXPORTER_OTLP_${name}`];
  const positive = (name: string, text: string | undefined): number | undefined => {
    if (text === undefined || text === '') return undefined;
    const value = Number(text);
    if (Number.isSafeInteger(value) && value > 0) return value;
    warn(`${name} is not a positive whole number; its default is taken.`);
    return undefined;
  };
  const protocol = otlp('PROTOCOL');
  if (protocol && protocol !== 'http/json') {
    warn(`OTEL_EXPORTER_OTLP_PROTOCOL '${protocol.slice(0, 40)}' is not spoken; http/json is.`);
  }
  const named = env.OTEL_TRACES_SAMPLER || 'parentbased_always_on';
  const known = samplerNames.find((name): name is SamplerName => name === named);
  if (!known) warn(`OTEL_TRACES_SAMPLER is not one of ${samplerNames.join(', ')}.`);
  const ratio = Number(env.OTEL_TRACES_SAMPLER_ARG || 1);
  const usable = ratio >= 0 && ratio <= 1;
  if (!usable) warn('OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1; 1 is taken.');
  const resource: Attributes = {
    'service.name': defaultServiceName,
    ...readPairs(env.OTEL_RESOURCE_ATTRIBUTES),
    ...(env.OTEL_SERVICE_NAME ? { 'service.name': env.OTEL_SERVICE_NAME } : {}),
  };
  const numbers = {
    timeoutMs: positive('OTEL_EXPORTER_OTLP_TIMEOUT', otlp('TIMEOUT')),
    delayMs: positive('OTEL_BSP_SCHEDULE_DELAY', env.OTEL_BSP_SCHEDULE_DELAY),
    maxQueue: positive('OTEL_BSP_MAX_QUEUE_SIZE', env.OTEL_BSP_MAX_QUEUE_SIZE),
    maxBatch: positive('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', env.OTEL_BSP_MAX_EXPORT_BATCH_SIZE),
  };
  const given = Object.fromEntries(
    Object.entries(numbers).filter(([, value]) => value !== undefined),
  );
  const sink = createOtlpExporter({
    ...{ url, resource, log, headers: checkedHeaders(readPairs(otlp('HEADERS')), warn) },
    ...given,
  });
  return createTracer(createSampler(known ?? 'parentbased_always_on', usable ? ratio : 1), sink);
}
