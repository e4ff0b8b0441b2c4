import { afterEach, describe, expect, it } from 'vitest';
import type { ClusterStatus, SystemStatus } from '../../../sdk/client/api.ts';
import type { NodeSnapshot } from '../../../sdk/cluster.ts';
import { blockSpec } from '../../../sdk/spec/block.ts';
import { clusterSpec } from '../../../sdk/spec/cluster.ts';
import { and, condition, gpu, node } from '../placement/filter-nodes.ts';
import { aios, type FakeServer, json, serve } from './harness.ts';

const cluster = (id: string, regionId: string, nodes: readonly NodeSnapshot[]): ClusterStatus => ({
  spec: clusterSpec.parse({ id, regionId }),
  ...{ revision: 1, nodes },
});
const busy = { utilizationFraction: 0.95 };
const state: SystemStatus = {
  ...{ version: '0', pid: 1, startedAtMs: 0, dataDirectory: 'data', vdags: [] },
  clusters: [
    cluster('west', 'us', [node('w1', [gpu(0), gpu(1)]), node('w2', [gpu(0), gpu(1, busy)])]),
    cluster('east', 'eu', [node('e1', [gpu(0), gpu(1)])]),
  ],
  blocks: [
    {
      spec: blockSpec.parse({
        ...{ id: 'ocr', componentUri: 'a.b:1-stable', minInstances: 2, maxInstances: 2 },
      }),
      ...{ revision: 1, state: 'running', wantedInstances: 2, clusterId: 'west', instances: [] },
    },
  ],
};

const servers: FakeServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** Runs `aios filter -` with this filter on standard input. */
async function filter(document: unknown, ...options: string[]) {
  const server = await serve({ 'GET /api/status': json(state) });
  servers.push(server);
  const input = typeof document === 'string' ? document : JSON.stringify(document);
  const outcome = await aios(['filter', '-', '--url', server.url, ...options], { input });
  return { ...outcome, asked: server.asked.length };
}

const twoGpus = {
  clusterQuery: condition('regionId', '==', 'us'),
  gpuQuery: {
    count: 2,
    where: and(condition('freeMem', '>=', 16_384), condition('cudaUtilization', '<', 90)),
  },
};

describe('aios filter', () => {
  it('prints every candidate with what refused it and the value seen, and counts', async () => {
    const { code, out } = await filter(twoGpus, '--level', 'node');

    expect(code).toBe(0);
    expect(out.split('\n')).toEqual([
      'CLUSTER  NODE  VERDICT',
      'west     w1    passes',
      'west     w2    refused: 2 GPUs with freeMem >= 16384 AND cudaUtilization < 90; saw 1 of 2',
      'east     e1    refused: regionId == us; saw eu',
      '',
      '1 of 3 nodes pass',
      '  1 refused: 2 GPUs with freeMem >= 16384 AND cudaUtilization < 90',
      '  1 refused: regionId == us',
      '',
    ]);
  });

  it('looks at the finest level that the filter speaks of', async () => {
    const { out } = await filter(twoGpus, '--json');
    const result = JSON.parse(out);

    expect(result).toMatchObject({ level: 'gpu', total: 6, passed: 2 });
    expect(result.candidates[3]).toEqual({
      ...{ clusterId: 'west', nodeId: 'w2', gpu: 1, passes: false },
      ...{ refusedBy: 'cudaUtilization < 90', seen: '95' },
    });
    expect(result.candidates[2].seen).toBe('1 of 2');
  });

  it.each([
    ['cluster', condition('id', 'LIKE', 'we*'), '1 of 2 clusters pass'],
    ['node', condition('gpus.cudaUtilization', '>', 90), '1 of 3 nodes pass'],
    ['gpu', condition('cudaUtilization', '<', 90), '5 of 6 gpus pass'],
    ['block', condition('minInstances', '>=', '2'), '1 of 1 blocks pass'],
  ])('takes one condition on a %s', async (level, document, summary) => {
    const { code, out } = await filter(document, '--level', level);

    expect(code).toBe(0);
    expect(out.toLowerCase()).toContain(summary);
  });

  it('asks the cluster of a block', async () => {
    const { out } = await filter({
      clusterQuery: condition('regionId', '==', 'eu'),
      blockQuery: condition('id', '==', 'ocr'),
    });

    expect(out).toContain('refused: regionId == eu; saw us');
    expect(out).toContain('0 of 1 blocks pass');
  });

  it.each([
    [
      'an unknown name',
      { nodeQuery: condition('gpus.freMem', '>', 1) },
      "did you mean 'gpus.freeMem'",
    ],
    ['a query of another level', { vdagQuery: {} }, '$.vdagQuery'],
    ['no object', [1], '$'],
  ])('refuses %s before it asks anybody', async (_, document, message) => {
    const { code, out, err, asked } = await filter(document);

    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err.toLowerCase()).toContain(message.toLowerCase());
    expect(asked).toBe(0);
  });

  it('refuses what is no JSON, and an unknown level', async () => {
    expect((await filter('{')).code).toBe(2);
    expect((await filter({}, '--level', 'rack')).code).toBe(2);
  });
});
