import { afterAll, describe, expect, it } from 'vitest';
import { clusterView, nodesOf, request, testHost, testPlacement } from '../../support/clusters.ts';

const host = testHost();
afterAll(() => host.close());

const using = (name: string, parameters = {}, settings = {}) => ({
  resourceAllocator: { policyRuleURI: `${name}:1.0.0-stable`, parameters, settings },
});

async function nodesFor(
  policies: ReturnType<typeof using>,
  views: ReturnType<typeof clusterView>,
  instances = 1,
  resources: Parameters<typeof request>[1] = { memoryBytes: 2 },
) {
  const placement = testPlacement([views], { host });
  const { decision } = await placement.place(request('b', resources, { policies, instances }), {
    reserve: true,
  });
  return { nodes: decision.plan?.instances.map(({ nodeId }) => nodeId), decision };
}

describe('resource allocators', () => {
  it('bin-pack fills the fullest node that fits', async () => {
    const { nodes } = await nodesFor(
      using('bin-pack'),
      clusterView({ id: 'c', nodes: nodesOf(9, 3, 5) }),
      3,
    );

    expect(nodes).toEqual(['n2', 'n3', 'n3']);
  });

  it('spread puts instances apart, then where most is free', async () => {
    const { nodes } = await nodesFor(
      using('spread'),
      clusterView({ id: 'c', nodes: nodesOf(9, 3, 5) }),
      4,
    );

    expect(nodes?.slice(0, 3).sort()).toEqual(['n1', 'n2', 'n3']);
    expect(nodes?.[3]).toBe('n1');
  });

  it('least-loaded follows what is measured, not what is declared', async () => {
    const view = clusterView(
      { id: 'c', nodes: nodesOf(9, 9, 9) },
      { n1: { cpuUsedCores: 3 }, n2: { cpuUsedCores: 1 }, n3: { cpuUsedCores: 2 } },
    );

    expect((await nodesFor(using('least-loaded'), view)).nodes).toEqual(['n2']);
  });

  it('least-loaded can follow the load average of the machine', async () => {
    const view = clusterView(
      { id: 'c', nodes: nodesOf(9, 9) },
      { n1: { load1m: 4 }, n2: { load1m: 1 } },
    );

    expect((await nodesFor(using('least-loaded', {}, { load: 'load1m' }), view)).nodes).toEqual([
      'n2',
    ]);
  });

  it('refuses nodes by the parameters of AIOS, with the value seen', async () => {
    const gpu = { memoryBytes: 8 * 2 ** 30 };
    const view = clusterView({
      id: 'c',
      nodes: [
        { id: 'n1', memoryBytes: 2 ** 30, cpuCores: 8, gpus: [gpu] },
        { id: 'n2', memoryBytes: 2 ** 30, cpuCores: 2, gpus: [gpu, gpu] },
        { id: 'n3', memoryBytes: 2 ** 30, cpuCores: 8, gpus: [gpu, gpu] },
      ],
    });
    const parameters = { gpus: 2, max_gpu_utilization: 0.9, min_gpu_free_memory: '4000', cpus: 4 };

    const { nodes, decision } = await nodesFor(using('bin-pack', parameters), view);

    expect(nodes).toEqual(['n3']);
    expect(decision.candidates.filter(({ refusedBy }) => refusedBy)).toMatchObject([
      {
        nodeId: 'n1',
        refusedBy: 'gpus: 2, max_gpu_utilization: 0.9, min_gpu_free_memory: 4000',
        seen: '1 such devices',
      },
      { nodeId: 'n2', refusedBy: 'cpus: 4', seen: '2' },
    ]);
  });

  it('takes utilization as a fraction, also as text, and refuses per cent', async () => {
    const check = (max_gpu_utilization: unknown) =>
      host.check('default', 'resourceAllocator', {
        policyRuleURI: 'bin-pack:1.0.0-stable' as never,
        parameters: { max_gpu_utilization },
        settings: {},
      });

    for (const fraction of [0, 0.9, '0.9', 1]) expect(await check(fraction)).toEqual([]);
    for (const percent of [90, '90', 1.1]) {
      expect(await check(percent)).toMatchObject([
        {
          path: '$.policies.resourceAllocator.parameters.max_gpu_utilization',
          message: expect.stringContaining('0.9 stands for 90 %'),
        },
      ]);
    }
  });

  it('reports a misspelt parameter with the nearest valid one', async () => {
    const problems = await host.check('default', 'resourceAllocator', {
      policyRuleURI: 'bin-pack:1.0.0-stable' as never,
      parameters: { min_memory: 5, max_gpu_utilisation: 0.5 },
      settings: {},
    });

    expect(problems.map(({ path, nearest }) => ({ path, nearest }))).toEqual([
      { path: '$.policies.resourceAllocator.parameters.min_memory', nearest: 'min_memory_mb' },
      {
        path: '$.policies.resourceAllocator.parameters.max_gpu_utilisation',
        nearest: 'max_gpu_utilization',
      },
    ]);
  });
});
