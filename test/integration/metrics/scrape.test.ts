import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../../../runtime/gateway/index.ts';
import { createGraphRunner } from '../../../runtime/vdag/index.ts';
import type { BlockMetrics, ClusterMetrics } from '../../../sdk/metrics.ts';
import { FakeDriver } from '../../unit/gateway/fakes.ts';
import { parseExposition } from '../../unit/metrics/exposition-grammar.ts';
import { block, Plane, tenant } from '../control/plane.ts';

const key = 'a-long-random-text';
const driver = new FakeDriver();
let plane: Plane;
let gateway: Gateway;
let close: () => void;
beforeEach(async () => {
  plane = await new Plane().up();
  const { api } = plane;
  const runner = createGraphRunner({
    resolveVdag: api.resolveVdag.bind(api),
    directory: api.directory,
    driver,
    ...(api.metrics ? { requests: api.metrics.requests } : {}),
  });
  close = () => runner.close();
  gateway = await startGateway({ controlPlane: api, driver, runner, apiKeys: [key] });
});
afterEach(async () => {
  close();
  await gateway.close();
  await plane.remove();
});

const get = (path: string, headers: Record<string, string> = { authorization: `Bearer ${key}` }) =>
  fetch(`${gateway.url}${path}`, { headers });
const json = async <T>(path: string): Promise<T> => (await (await get(path)).json()) as T;

async function scrape() {
  const response = await get('/metrics');
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const families = parseExposition(await response.text());
  return (name: string) => families.find((family) => family.name === name)?.samples ?? [];
}

async function infer(text: unknown, target = 'block/echo'): Promise<number> {
  const response = await fetch(`${gateway.url}/api/infer/${target}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ data: { text } }),
  });
  await response.text();
  return response.status;
}

test('a running block is seen from outside: scraped, asked for, and in the AIOS form', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('echo'));
  expect(await infer('one')).toBe(200);
  expect(await infer('two')).toBe(200);
  // Not what the block takes.
  expect(await infer(3)).not.toBe(200);
  await plane.api.metrics?.collect();
  const of = await scrape();

  expect(of('aios_block_requests_total')).toEqual([
    { name: 'aios_block_requests_total', labels: { tenant, block: 'echo' }, value: 3 },
  ]);
  expect(of('aios_block_request_failures_total')[0]?.value).toBe(1);
  expect(of('aios_block_outstanding_requests')[0]?.value).toBe(0);
  expect(of('aios_block_request_duration_seconds')[0]?.value).toBeGreaterThan(0);
  expect(of('aios_node_memory_total_bytes').map(({ labels }) => labels)).toEqual([
    { tenant, cluster: 'home', node: 'n1' },
    { tenant, cluster: 'home', node: 'n2' },
  ]);
  const free = of('aios_node_memory_free_bytes').map(({ value }) => value / 2 ** 20);
  expect(free.sort((a, b) => a - b)).toEqual([156, 256]);
  expect(of('aios_cluster_nodes')[0]?.value).toBe(2);

  const metrics = await json<BlockMetrics>('/api/metrics/block/echo');
  expect(metrics).toMatchObject({ type: 'block', id: 'echo', requestsTotal: 3, failuresTotal: 1 });
  expect(metrics.latencyMs?.averages['15m']).toBeGreaterThan(0);
  const cluster = await json<ClusterMetrics>('/api/metrics/cluster/home');
  const aios = await json<{ cluster: { memory: { totalMem: number } } }>(
    '/api/metrics/cluster/home?format=aios',
  );
  expect(cluster.values.memoryTotalBytes).toBe(512 * 2 ** 20);
  expect(aios.cluster.memory.totalMem).toBe(512);
  expect(await json('/api/metrics/node/home/n1')).toMatchObject({ type: 'node', id: 'n1' });
});

test('a vDAG is counted once a request, its blocks for themselves', async () => {
  await plane.declare();
  await plane.api.create(tenant, 'block', block('echo'));
  const nodes = [{ label: 'only', blockId: 'echo' }];
  await plane.api.create(tenant, 'vdag', {
    ...{ uri: 'twice:1.0.0-stable', name: 'twice', version: '1.0.0', releaseTag: 'stable' },
    ...{ nodes, edges: [] },
  });
  expect(await infer('one', 'vdag/twice')).toBe(200);
  expect(await infer(2, 'vdag/twice')).not.toBe(200);
  expect(await infer('x', 'vdag/no-such-one')).toBe(404);
  expect(await infer('direct')).toBe(200);
  await plane.api.metrics?.collect();
  const of = await scrape();
  const labels = { tenant, vdag: 'twice:1.0.0-stable' };

  expect(of('aios_vdag_requests_total')).toEqual([
    { name: 'aios_vdag_requests_total', labels, value: 2 },
  ]);
  expect(of('aios_vdag_request_failures_total')[0]?.value).toBe(1);
  expect(of('aios_block_requests_total')[0]?.value).toBe(3);
  expect(await json('/api/metrics/vdag/twice:1.0.0-stable?format=aios')).toMatchObject({
    ...{ type: 'vdag', vdagURI: 'twice:1.0.0-stable', inference_requests_total: 2 },
  });
});

test('metrics are as closed as everything else, and unknown things are said to be so', async () => {
  expect((await get('/metrics', {})).status).toBe(401);
  expect((await get('/api/metrics/cluster/home', {})).status).toBe(401);
  expect((await get('/api/metrics/cluster/home')).status).toBe(404);
  await plane.declare();
  expect((await get('/api/metrics/cluster/home?format=xml')).status).toBe(400);
  expect((await get('/metrics')).status).toBe(200);
});
