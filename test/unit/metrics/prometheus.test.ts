import { describe, expect, it } from 'vitest';
import { createMetrics, prometheusText } from '../../../runtime/metrics/index.ts';
import { clusterView, testPlacement } from '../../support/clusters.ts';
import { parseExposition } from './exposition-grammar.ts';
import { gibibyte, gpu, nowMs } from './fixtures.ts';

async function testMetrics(nodeCount: number, waiting = 0) {
  const ids = Array.from({ length: nodeCount }, (_, at) => `n${at}`);
  const view = clusterView(
    {
      id: 'c',
      nodes: ids.map((id) => ({
        ...{ id, memoryBytes: 8 * gibibyte, cpuCores: 4 },
        gpus: [{ memoryBytes: 24 * gibibyte }],
      })),
    },
    Object.fromEntries(
      ids.map((id) => [
        id,
        { atMs: nowMs, networkSentBytes: 77, gpus: [gpu(0, { utilizationFraction: 0.25 })] },
      ]),
    ),
  );
  const metrics = createMetrics({
    inventory: { tenants: () => ['default'], clusters: () => [view], cluster: () => view },
    snapshot: testPlacement([view]).snapshot,
    clock: () => nowMs,
    intervalMs: 0,
    blocks: async () => [{ tenant: 'default', blockId: 'b "1"\\', instances: [] }],
  });
  metrics.requests.begin('default', 'b "1"\\', 'i')({ ok: false });
  for (let at = 0; at < waiting; at += 1) metrics.requests.wait('default', 'b "1"\\');
  metrics.requests.beginVdag('default', 'v:1.0.0-stable');
  await metrics.collect();
  return metrics;
}

describe('what Prometheus scrapes', () => {
  it('has how many requests wait for a block, also while none does', async () => {
    for (const waiting of [0, 2]) {
      const families = parseExposition(prometheusText(await testMetrics(1, waiting), 'default'));
      const queued = families.find(({ name }) => name === 'aios_block_queue_length');
      expect(queued?.samples.map(({ value }) => value)).toEqual([waiting]);
    }
  });

  it('is of the format, in base units, with counters named so', async () => {
    const families = parseExposition(prometheusText(await testMetrics(2), 'default'));
    const of = (name: string) => families.find((family) => family.name === name);
    const labels = { tenant: 'default', cluster: 'c', node: 'n0' };

    expect(of('aios_node_memory_free_bytes')?.samples[0]).toEqual({
      ...{ name: 'aios_node_memory_free_bytes', labels, value: 8 * gibibyte },
    });
    expect(of('aios_node_network_sent_bytes_total')).toMatchObject({
      ...{ type: 'counter', samples: [{ value: 77 }, { value: 77 }] },
    });
    expect(of('aios_cluster_network_sent_bytes')).toBeUndefined();
    expect(of('aios_gpu_utilization_ratio')?.samples[1]).toEqual({
      name: 'aios_gpu_utilization_ratio',
      ...{ labels: { ...labels, node: 'n1', gpu: '0' }, value: 0.25 },
    });
    expect(of('aios_node_load15m')?.type).toBe('gauge');
    expect(of('aios_block_requests_total')?.samples).toEqual([
      expect.objectContaining({ labels: { tenant: 'default', block: 'b "1"\\' }, value: 1 }),
    ]);
    expect(of('aios_block_request_failures_total')?.samples[0]?.value).toBe(1);
    expect(of('aios_vdag_outstanding_requests')?.samples[0]?.value).toBe(1);
    expect(of('aios_metrics_samples_dropped')?.samples[0]?.value).toBe(0);
    expect(new Set(families.map(({ name }) => name.replace(/_total$/, ''))).size).toBe(
      families.length,
    );
  });

  it('is bounded: nodes go first, clusters and blocks stay', async () => {
    const text = prometheusText(await testMetrics(500), 'default', { maxSamples: 100 });
    const families = parseExposition(text);
    const samples = families.flatMap((family) => family.samples);

    expect(samples).toHaveLength(101);
    expect(samples.at(-1)?.value).toBeGreaterThan(500 * 20);
    expect(families.map(({ name }) => name)).toContain('aios_block_ready_instances');
  });
});
