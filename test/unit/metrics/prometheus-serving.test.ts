import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Histogram } from '../../../runtime/metrics/histogram.ts';
import { createMetrics, prometheusText } from '../../../runtime/metrics/index.ts';
import type { ShardCounters } from '../../../sdk/client/api.ts';
import { clusterView, testPlacement } from '../../support/clusters.ts';
import { parseExposition } from './exposition-grammar.ts';
import { gibibyte, nowMs } from './fixtures.ts';

const modelUri = 'm:1-stable';
const shard: ShardCounters = {
  ...{
    openSessions: 3,
    maxOpenSessions: 4,
    maxSessions: 8,
    sessionsOpened: 20,
    sessionsClosed: 17,
  },
  ...{ steps: 130, tokens: 90, sessionSwitches: 10, queuedSteps: 2, maxQueuedFrames: 5 },
  ...{ framesIn: 200, framesOut: 190, bytesIn: 12_345, bytesOut: 2345, payloadCopies: 0 },
  ...{ decodeSteps: 120, decodeBatches: 48, maxBatchSteps: 4, lastBatchSteps: 3 },
  ...{ prefillChunks: 10, prefillTokens: 900, kvTokens: 512, kvCapacityTokens: 4096 },
  ...{
    sharedTokens: 64,
    kvMoves: 2,
    outputCopies: 0,
    decodeMs: 1000,
    computeMs: 1500,
    waitMs: 250,
    countedAtMs: 1,
  },
};

async function serving() {
  const view = clusterView({ id: 'c', nodes: [{ id: 'n0', memoryBytes: gibibyte, cpuCores: 2 }] });
  const metrics = createMetrics({
    inventory: { tenants: () => ['default'], clusters: () => [view], cluster: () => view },
    snapshot: testPlacement([view]).snapshot,
    clock: () => nowMs,
    intervalMs: 0,
    blocks: async () => [
      {
        ...{ tenant: 'default', blockId: 'shard-0', clusterId: 'c' },
        instances: [
          {
            ...{ instanceId: 'shard-0-a', clusterId: 'c', nodeId: 'n0', ready: true, gpus: [] },
            ...{ promised: { memoryBytes: 1, cpuCores: 1 }, outstandingRequests: 3, shard },
          },
        ],
      },
    ],
  });
  metrics.requests.beginVdag('default', modelUri);
  return metrics;
}

async function scraped(metrics: Awaited<ReturnType<typeof serving>>) {
  await metrics.collect();
  const families = parseExposition(prometheusText(metrics, 'default'));
  return (name: string) => families.find((family) => family.name === name);
}

describe('what Prometheus scrapes of models', () => {
  it('has a series a shard, in base units, by block, instance and node', async () => {
    const metrics = await serving();
    const of = await scraped(metrics);
    const labels = { tenant: 'default', block: 'shard-0', instance: 'shard-0-a', node: 'n0' };
    const value = (name: string) => of(`aios_shard_${name}`)?.samples[0]?.value;

    expect(of('aios_shard_sessions')).toMatchObject({
      type: 'gauge',
      samples: [{ labels, value: 3 }],
    });
    expect(of('aios_shard_received_bytes_total')).toMatchObject({
      ...{ type: 'counter', samples: [{ labels, value: 12_345 }] },
    });
    expect([value('session_slots'), value('kv_tokens'), value('kv_capacity_tokens')]).toEqual([
      8, 512, 4096,
    ]);
    expect([value('queued_steps'), value('batch_steps'), value('batch_steps_mean')]).toEqual([
      2, 3, 2.5,
    ]);
    expect([value('compute_seconds_total'), value('wait_seconds_total')]).toEqual([1.5, 0.25]);
    expect(value('sent_bytes_total')).toBe(2345);
    expect(metrics.block('default', 'shard-0')?.instances[0]?.shard).toEqual(shard);
  });

  it('says how many wait, how many are answered, and how long it takes', async () => {
    const metrics = await serving();
    const { answering } = metrics;
    const whole = answering.begin('default', modelUri);
    whole.admitted(40, 8);
    whole.firstToken(300, 12);
    for (const tokenMs of [20, 30, 2000]) whole.token(tokenMs);
    whole.parts({ computeMs: 15, waitMs: 3, wireMs: 1, driverMs: 0.25 });
    whole.ended('ok');
    whole.ended('busy');
    answering.begin('default', modelUri).ended('busy');
    answering.begin('default', modelUri);
    answering.begin('default', modelUri).admitted(0, undefined);
    const of = await scraped(metrics);
    const value = (name: string) => of(`aios_model_${name}`)?.samples[0]?.value;

    expect([value('waiting_requests'), value('open_sessions'), value('session_slots')]).toEqual([
      1, 1, 8,
    ]);
    expect([value('answers_total'), value('busy_total')]).toEqual([1, 1]);
    expect([value('prompt_tokens_total'), value('tokens_total')]).toEqual([12, 4]);
    const tokens = of('aios_model_token_seconds');
    const bucket = (le: string) => tokens?.samples.find(({ labels }) => labels.le === le)?.value;
    expect(tokens?.type).toBe('histogram');
    expect([bucket('0.01'), bucket('0.025'), bucket('0.05'), bucket('1'), bucket('+Inf')]).toEqual([
      0, 1, 2, 2, 3,
    ]);
    expect(tokens?.samples.slice(-2).map(({ name, value: count }) => [name, count])).toEqual([
      ['aios_model_token_seconds_sum', 2.05],
      ['aios_model_token_seconds_count', 3],
    ]);
    expect(of('aios_model_time_to_first_token_seconds')?.samples.at(-1)?.value).toBe(1);
    const parts = of('aios_model_token_part_seconds')?.samples ?? [];
    expect(new Set(parts.map(({ labels }) => labels.part))).toEqual(
      new Set(['compute', 'wait', 'wire', 'driver']),
    );
    expect(metrics.vdag('default', modelUri)?.serving).toMatchObject({
      tokensTotal: 4,
      waiting: 1,
    });
  });

  it('has no half of a histogram where there is no room for all of it', async () => {
    const metrics = await serving();
    metrics.answering.begin('default', modelUri).firstToken(1, 1);
    await metrics.collect();
    for (let maxSamples = 20; maxSamples < 120; maxSamples += 3) {
      for (const family of parseExposition(prometheusText(metrics, 'default', { maxSamples }))) {
        if (family.type !== 'histogram') continue;
        expect(family.samples.at(-1)?.name).toBe(`${family.name}_count`);
      }
    }
  });
});

describe('a histogram', () => {
  it('counts every sample once, and its buckets grow to its count', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 20, noNaN: true })), (samples) => {
        const histogram = new Histogram([0.5, 1, 10]);
        for (const sample of [...samples, Number.NaN, Number.POSITIVE_INFINITY]) {
          histogram.observe(sample);
        }
        const { bounds, upTo, count } = histogram.read();
        expect(count).toBe(samples.length);
        for (const [at, bound] of bounds.entries()) {
          expect(upTo[at]).toBe(samples.filter((sample) => sample <= bound).length);
        }
      }),
    );
  });
});
