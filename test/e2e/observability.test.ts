import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TopView } from '../../cli/top/readings.ts';
import type { BlockMetrics } from '../../sdk/metrics.ts';
import { eventually, System, tinyAssistant } from '../support/system.ts';
import { parseExposition } from '../unit/metrics/exposition-grammar.ts';
import { Collector } from '../unit/tracing/collector.ts';

const slots = 2;
let collector: Collector;
let system: System;
let model: string;

beforeAll(async () => {
  collector = await new Collector().start();
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20sesame',
    OTEL_BSP_SCHEDULE_DELAY: '50',
  };
  Object.assign(process.env, env);
  try {
    system = await System.start();
  } finally {
    for (const name of Object.keys(env)) delete process.env[name];
  }
  await system.cluster('home', 3, 2 ** 30);
  model = await system.model(tinyAssistant, 3, '--max-sessions', String(slots));
}, 120_000);

afterAll(async () => {
  await system?.stop();
  await collector?.close();
});

const ask = (body: object = {}, headers: Record<string, string> = {}) =>
  fetch(`${system.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({
      ...{ model, prompt: 'Hello', max_tokens: 40, temperature: 0, ignore_eos: true },
      ...body,
    }),
  });

describe('traces', () => {
  it('reach a collector: the request, its admission, prefill and decode, and each of three processes', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
    const response = await ask({}, { traceparent });
    expect(response.status).toBe(200);
    await response.text();

    const own = () => collector.spans.filter((span) => span.traceId === traceId);
    await eventually('eight spans came', () => own().length >= 8);
    const named = (name: string) => own().filter((span) => span.name.startsWith(name));
    const [request] = named('POST /v1/completions');
    const [generate] = named('generate');
    expect(own()).toHaveLength(8);
    expect(request).toMatchObject({ parentSpanId: 'b7ad6b7169203331', kind: 2 });
    expect(request?.attributes['http.response.status_code']).toBe('200');
    expect(generate?.parentSpanId).toBe(request?.spanId);
    expect(generate?.attributes['gen_ai.usage.output_tokens']).toBe('40');
    const parts = [named('admission'), named('prefill'), named('decode'), named('shard')].flat();
    expect(parts.map(({ parentSpanId }) => parentSpanId)).toEqual(
      Array.from({ length: 6 }, () => generate?.spanId),
    );
    expect(new Set(own().map(({ spanId }) => spanId)).size).toBe(8);

    const shards = named('shard');
    const instances = (await system.instances()).map(({ id }) => id).sort();
    expect(shards.map(({ resource }) => resource['service.instance.id']).sort()).toEqual(instances);
    // The prompt, and each token but the last.
    for (const { attributes } of shards) expect(attributes['aios.steps']).toBe('40');
    for (const span of parts) {
      expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano));
    }
    expect(collector.requests[0]?.headers.authorization).toBe('Bearer sesame');
    expect(system.log).not.toContain('sesame');
  });

  it('begin where nobody began one, and are left out where the caller leaves them out', async () => {
    const unseen = '1'.repeat(32);
    await (await ask({}, { traceparent: `00-${unseen}-${'2'.repeat(16)}-00` })).text();
    const before = new Set(collector.spans.map(({ traceId }) => traceId));
    await (await ask({}, { traceparent: 'nonsense' })).text();
    const fresh = () => collector.spans.filter(({ traceId }) => !before.has(traceId));
    await eventually('a trace of its own came', () => fresh().length >= 8);

    expect(fresh().filter(({ parentSpanId }) => parentSpanId === undefined)).toHaveLength(1);
    expect(collector.spans.some(({ traceId }) => traceId === unseen)).toBe(false);
  });
});

describe('what is measured', () => {
  it('is in the answer: how long it waited, each token took, and where', async () => {
    const { aios, usage } = (await (await ask()).json()) as {
      readonly usage: { readonly completion_tokens: number };
      readonly aios: {
        readonly timeToFirstTokenMs: number;
        readonly totalMs: number;
        readonly waitedMs: number;
        readonly tokenMs: { readonly mean: number; readonly p50: number; readonly p99: number };
        readonly partsMs: Readonly<Record<'computeMs' | 'waitMs' | 'wireMs' | 'driverMs', number>>;
        readonly hops: readonly unknown[];
      };
    };

    expect(usage.completion_tokens).toBe(40);
    expect(aios.hops).toHaveLength(3);
    expect(aios.waitedMs).toBeLessThanOrEqual(aios.timeToFirstTokenMs);
    expect(aios.timeToFirstTokenMs).toBeLessThanOrEqual(aios.totalMs);
    expect(aios.tokenMs.p50).toBeLessThanOrEqual(aios.tokenMs.p99);
    const { computeMs, waitMs, wireMs, driverMs } = aios.partsMs;
    for (const part of [computeMs, waitMs, wireMs, driverMs]) expect(part).toBeGreaterThan(0);
    // What the shards count reaches past a token's arrival by rounding alone.
    expect(computeMs + waitMs + wireMs + driverMs).toBeGreaterThanOrEqual(aios.tokenMs.mean * 0.99);
  });

  it('is scraped, a series a shard, and histograms of the model', async () => {
    await (await ask()).text();
    const families = async () =>
      parseExposition(await (await fetch(`${system.url}/metrics`)).text());
    const samples = async (name: string) =>
      (await families()).find((family) => family.name === name)?.samples ?? [];
    const instances = (await system.instances()).map(({ id }) => id).sort();
    await eventually('all shards have counted', async () => {
      const steps = await samples('aios_shard_steps_total');
      return steps.length === 3 && steps.every(({ value }) => value >= 40);
    });

    const computed = await samples('aios_shard_compute_seconds_total');
    expect(computed.map(({ labels }) => labels.instance).sort()).toEqual(instances);
    expect(computed.every(({ labels }) => labels.node?.startsWith('home-'))).toBe(true);
    expect((await samples('aios_shard_session_slots')).map(({ value }) => value)).toEqual([
      ...[slots, slots, slots],
    ]);
    for (const name of ['received_bytes', 'sent_bytes', 'wait_seconds', 'decode_batches']) {
      const values = await samples(`aios_shard_${name}_total`);
      expect(values.map(({ value }) => value > 0)).toEqual([true, true, true]);
    }
    const first = await samples('aios_model_time_to_first_token_seconds');
    expect(first.at(-1)).toMatchObject({ labels: { vdag: expect.stringContaining('tiny') } });
    expect(first.at(-1)?.value).toBeGreaterThanOrEqual(1);
    expect((await samples('aios_trace_spans_exported_total'))[0]?.value).toBeGreaterThan(0);
  });

  it('is in status and in the metric documents, the same counters', async () => {
    const [instance] = await system.instances();
    const url = `${system.url}/api/metrics/block/${instance?.blockId}`;
    const metrics = (await (await fetch(url)).json()) as BlockMetrics;

    expect(instance?.counters).toMatchObject({ maxSessions: slots, queuedSteps: 0 });
    expect(instance?.counters?.kvCapacityTokens).toBeGreaterThan(0);
    expect(metrics.instances[0]?.shard).toMatchObject({ maxSessions: slots });
    const [vdag] = (await system.status()).vdags;
    expect(vdag?.serving).toMatchObject({ waiting: 0, openSessions: 0, slots });
    expect(vdag?.serving?.tokensTotal).toBeGreaterThanOrEqual(40);
  });

  it('is what aios top shows', async () => {
    const view = await system.json<TopView>('top', '--interval', '1s');
    const people = await system.aios('top', '--once', '--interval', '200');

    expect(view.shards).toHaveLength(3);
    expect(view.vdags[0]).toMatchObject({ ready: true, openSessions: 0, slots });
    expect(people.out).toMatch(/^VDAG/);
    expect(people.out.match(/ 0 of 2 /g)?.length).toBeGreaterThanOrEqual(3);
  });
});

describe('more requests than slots', () => {
  it('wait, and all are answered as one alone is', async () => {
    const alone = ((await (await ask()).json()) as { choices: { text: string }[] }).choices[0]
      ?.text;
    const answers = await Promise.all(
      Array.from({ length: 8 }, async (_, at) => {
        const response = await ask({ user: `user ${at % 3}` });
        expect(response.status).toBe(200);
        return ((await response.json()) as { choices: { text: string }[] }).choices[0]?.text;
      }),
    );

    expect(answers).toEqual(answers.map(() => alone));
    const most = (await system.instances()).map(({ counters }) => counters?.maxOpenSessions);
    expect(most).toEqual([slots, slots, slots]);
  });

  it('are refused as busy where the document lets nobody wait, and told when to come again', async () => {
    const [vdag] = (await system.status()).vdags;
    const spec = vdag?.spec;
    const limited = await fetch(`${system.url}/api/vdags?replace=true`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...spec,
        generation: { ...spec?.generation, limits: { maxWaiting: 0, maxAnswerTokens: 400 } },
      }),
    });
    expect(limited.status).toBe(201);
    const stop = new AbortController();
    const held = await Promise.all(
      Array.from({ length: slots }, () =>
        fetch(`${system.url}/v1/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({
            model,
            prompt: 'Hi',
            max_tokens: 400,
            stream: true,
            ignore_eos: true,
          }),
          signal: stop.signal,
        }),
      ),
    );
    const refused = await ask();
    const { error } = (await refused.json()) as { error: { code: string; message: string } };
    stop.abort();
    await Promise.allSettled(held.map((response) => response.text()));

    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(error).toMatchObject({ code: 'BUSY', details: { waiting: 0, openSessions: slots } });
    const tooLong = await ask({ max_tokens: 401 });
    expect(tooLong.status).toBe(400);
    expect(await tooLong.text()).toContain('generation.limits.maxAnswerTokens');
    await eventually('the slots are free again', async () => (await ask()).status === 200);
  });
});
