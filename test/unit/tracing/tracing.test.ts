import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createOtlpExporter,
  createSampler,
  createTracer,
  formatTraceparent,
  type OtlpExporterOptions,
  parseTraceparent,
  recordShardSpans,
  tracerFromEnvironment,
} from '../../../runtime/tracing/index.ts';
import { Collector } from './collector.ts';

const hex = (length: number) =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length })
    .map((digits) => digits.join(''))
    .filter((text) => !/^0+$/.test(text));
const context = fc.record({ traceId: hex(32), spanId: hex(16), sampled: fc.boolean() });

describe('traceparent', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(context, (one) => {
        expect(parseTraceparent(formatTraceparent(one))).toEqual(one);
      }),
    );
  });

  test.each([
    ['nothing', ''],
    ['zeros for the trace', `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`],
    ['zeros for the span', `00-${'1'.repeat(32)}-${'0'.repeat(16)}-01`],
    ['capitals', `00-${'A'.repeat(32)}-${'1'.repeat(16)}-01`],
    ['more than this version has', `00-${'1'.repeat(32)}-${'1'.repeat(16)}-01-x`],
    ['the version that is none', `ff-${'1'.repeat(32)}-${'1'.repeat(16)}-01`],
  ])('with %s is none', (_what, text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });

  test('of a later version may say more, and other flags', () => {
    const text = `01-${'1'.repeat(32)}-${'2'.repeat(16)}-03-more`;
    expect(parseTraceparent(text)).toMatchObject({ sampled: true, spanId: '2'.repeat(16) });
  });

  test('of any text is found malformed without a fault', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        parseTraceparent(text);
      }),
    );
  });
});

describe('a sampler', () => {
  test('by ratio takes about so many, alike for the same trace, and all that a smaller one takes', () => {
    const ids = fc.sample(hex(32), 2000);
    const [some, more] = [
      createSampler('traceidratio', 0.2),
      createSampler('traceidratio', 0.5),
    ] as const;
    const taken = ids.filter((id) => some(id, undefined));
    expect(taken.length).toBeGreaterThan(200);
    expect(taken.length).toBeLessThan(700);
    expect(taken.every((id) => more(id, undefined))).toBe(true);
    expect(ids.some((id) => createSampler('traceidratio', 0)(id, undefined))).toBe(false);
    expect(ids.every((id) => createSampler('traceidratio', 1)(id, undefined))).toBe(true);
  });

  test('based on the parent does what the parent did', () => {
    fc.assert(
      fc.property(context, (parent) => {
        for (const name of ['parentbased_always_on', 'parentbased_always_off'] as const) {
          expect(createSampler(name, 1)(parent.traceId, parent)).toBe(parent.sampled);
        }
      }),
    );
  });
});

describe('exporting', () => {
  let collector: Collector;
  let logged: string[];
  beforeEach(async () => {
    collector = await new Collector().start();
    logged = [];
  });
  afterEach(() => collector.close());

  const exporter = (options: Partial<OtlpExporterOptions> = {}) => {
    const sink = createOtlpExporter({
      ...{ url: `${collector.url}/v1/traces`, headers: {}, resource: { 'service.name': 'aios' } },
      ...{ delayMs: 5, log: (line: string) => logged.push(line), ...options },
    });
    return { sink, tracer: createTracer(createSampler('parentbased_always_on', 1), sink) };
  };

  test('sends spans with their parents, times, attributes and errors', async () => {
    const { tracer } = exporter();
    const parent = tracer.start({ name: 'outer', kind: 'server', attributes: { a: 'x', n: 3 } });
    const child = tracer.start({ name: 'inner', parent: parent.context });
    child.event('happened', { at: 1.5 });
    child.end('BUSY: no room');
    child.end();
    parent.set({ a: 'y', unknown: undefined, broken: Number.NaN });
    parent.end();
    await tracer.close();

    const [inner, outer] = collector.spans;
    expect(outer).toMatchObject({ name: 'outer', kind: 2, attributes: { a: 'y', n: '3' } });
    expect(outer).not.toHaveProperty('parentSpanId');
    expect(outer?.attributes).not.toHaveProperty('broken');
    expect(inner).toMatchObject({
      ...{ traceId: outer?.traceId, parentSpanId: outer?.spanId, name: 'inner', kind: 1 },
      ...{ status: { code: 2, message: 'BUSY: no room' }, resource: { 'service.name': 'aios' } },
      events: [{ name: 'happened' }],
    });
    for (const { startTimeUnixNano, endTimeUnixNano } of collector.spans) {
      expect(startTimeUnixNano).toMatch(/^\d{19}$/);
      expect(BigInt(endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(startTimeUnixNano));
    }
    expect(tracer.counts).toEqual({ exported: 2, dropped: 0 });
  });

  test('leaves out what the caller does not sample, and passes that on', async () => {
    const { tracer } = exporter();
    const parent = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), sampled: false };
    const span = tracer.start({ name: 'unseen', parent });
    expect(span.context).toMatchObject({ traceId: parent.traceId, sampled: false });
    span.end();
    await tracer.close();

    expect(collector.requests).toEqual([]);
  });

  test('takes over what shards report, as their own, and nothing that makes no sense', async () => {
    const { tracer } = exporter();
    const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
    const span = {
      ...{ traceparent, startedAtMs: 1000, endedAtMs: 2500, steps: 3, rows: 9 },
      ...{ computeMs: 12.5, waitMs: 1 },
    };
    recordShardSpans(tracer, 'shard-0-a', [
      ...[span, null, 'span', { ...span, steps: -1 }, { ...span, traceparent: 'x' }],
      ...[
        { ...span, startedAtMs: 'now' },
        { ...span, error: 'x'.repeat(1000) },
      ],
      { ...span, traceparent: traceparent.replace(/01$/, '00') },
    ]);
    await tracer.close();

    expect(collector.spans).toEqual([
      expect.objectContaining({
        ...{ traceId: '1'.repeat(32), parentSpanId: '2'.repeat(16), name: 'shard' },
        ...{ startTimeUnixNano: '1000000000', endTimeUnixNano: '2500000000' },
        resource: { 'service.name': 'aios', 'service.instance.id': 'shard-0-a' },
        attributes: expect.objectContaining({ 'aios.steps': '3', 'aios.rows': '9' }),
      }),
    ]);
  });

  test('drops what there is no room for, and counts it', async () => {
    collector.silent = true;
    const { sink, tracer } = exporter({ maxQueue: 10, maxBatch: 4, delayMs: 60_000 });
    for (let at = 0; at < 40; at += 1) tracer.start({ name: `${at}` }).end();

    // Four are on their way, ten wait.
    expect(sink.dropped).toBe(26);
    await tracer.close();
    expect(sink).toMatchObject({ exported: 0, dropped: 40 });
    tracer.start({ name: 'late' }).end();
    expect(sink.dropped).toBe(41);
  });

  test('asks again when the collector is busy, says so once, and gives up what it refuses', async () => {
    collector.refusals.push(503, 429);
    const { tracer } = exporter();
    tracer.start({ name: 'again' }).end();
    while (collector.spans.length < 1) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(collector.requests).toHaveLength(3);

    collector.refusals.push(400);
    tracer.start({ name: 'refused' }).end();
    while (tracer.counts.dropped < 1) await new Promise((resolve) => setTimeout(resolve, 10));
    await tracer.close();
    expect(tracer.counts).toEqual({ exported: 1, dropped: 1 });
    const host = new URL(collector.url).host;
    expect(logged).toEqual([
      `traces cannot be exported to ${host}: it answered 503`,
      `traces cannot be exported to ${host}: it answered 429`,
      `traces reach ${host} again`,
      `traces cannot be exported to ${host}: it answered 400`,
    ]);
  });

  test('is set by OpenTelemetry’s variables', async () => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/otel/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20sesame,x-team=a=b',
      OTEL_SERVICE_NAME: 'models',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test,service.name=other',
    };
    const tracer = tracerFromEnvironment(env, (line) => logged.push(line));
    tracer?.start({ name: 'one' }).end();
    await tracer?.close();

    expect(collector.requests).toMatchObject([
      {
        path: '/otel/v1/traces',
        headers: {
          authorization: 'Bearer sesame',
          'x-team': 'a=b',
          'content-type': 'application/json',
        },
      },
    ]);
    expect(collector.spans[0]?.resource).toEqual({
      ...{ 'service.name': 'models', 'deployment.environment': 'test' },
    });
    expect(logged).toEqual([]);
  });

  test('sends a name and password of the address as a header, unless there is such a header', async () => {
    const address = collector.url.replace('http://', 'http://me%40home:se%3Asame%C3%BC%zz@');
    const given: Record<string, string>[] = [{}, { Authorization: 'Bearer own' }];
    for (const headers of given) {
      const { tracer } = exporter({ url: `${address}/v1/traces`, headers });
      tracer.start({ name: 'one' }).end();
      await tracer.close();
    }

    // What is no percent code stays as it was written.
    const password = 'se%3Asame%C3%BC%zz';
    const basic = Buffer.from(`me@home:${password}`).toString('base64');
    expect(collector.requests.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ['/v1/traces', `Basic ${basic}`],
      ['/v1/traces', 'Bearer own'],
    ]);
    const { tracer } = exporter({ url: collector.url.replace('//', '//me:se%3Asame%C3%BC@') });
    tracer.start({ name: 'two' }).end();
    await tracer.close();
    expect(collector.requests.at(-1)?.headers.authorization).toBe(
      `Basic ${Buffer.from('me:se:sameü').toString('base64')}`,
    );
    expect(logged).toEqual([]);
  });

  test('is off where nothing asks for it, and never repeats a secret', async () => {
    const log = (line: string) => logged.push(line);
    const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
    expect(tracerFromEnvironment({}, log)).toBeUndefined();
    expect(tracerFromEnvironment({ ...endpoint, OTEL_SDK_DISABLED: 'true' }, log)).toBeUndefined();
    expect(
      tracerFromEnvironment({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }, log),
    ).toBeUndefined();
    expect(logged).toEqual([]);
    expect(tracerFromEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: 'sesame' }, log)).toBeUndefined();
    const tracer = tracerFromEnvironment(
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://me:sesame@127.0.0.1:1/sesame',
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=sesame%0A,=sesame,sesame',
        OTEL_TRACES_SAMPLER: 'sesame',
        OTEL_TRACES_SAMPLER_ARG: 'sesame',
        OTEL_BSP_MAX_QUEUE_SIZE: 'sesame',
      },
      log,
    );
    tracer?.start({ name: 'lost' }).end();
    await tracer?.close();

    expect(tracer?.counts).toEqual({ exported: 0, dropped: 1 });
    expect(logged.length).toBeGreaterThan(4);
    expect(logged.join('\n')).not.toContain('sesame');
  });
});
