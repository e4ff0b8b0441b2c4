import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createPlacement } from '../../../runtime/placement/index.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import {
  clusterView,
  gibibyte,
  nodesOf,
  request,
  testHost,
  testPlacement,
} from '../../support/clusters.ts';

const host = testHost();
afterAll(() => host.close());

const twoClusters = () => [
  clusterView({
    id: 'east',
    regionId: 'eu',
    nodes: nodesOf(8 * gibibyte, 4 * gibibyte),
    tags: ['prod'],
  }),
  clusterView({ id: 'west', regionId: 'us', nodes: nodesOf(2 * gibibyte) }),
];

describe('placing a block', () => {
  it('reserves the very plan that was scored, and explains every candidate', async () => {
    const placement = testPlacement(twoClusters(), { host });

    const { decision, reservationId } = await placement.place(
      request('ocr', { memoryBytes: 3 * gibibyte }),
      { reserve: true },
    );

    expect(decision.outcome).toBe('placed');
    expect(decision.plan).toMatchObject({
      clusterId: 'east',
      instances: [{ instanceId: 'ocr-in-0', nodeId: 'n2', memoryBytes: 3 * gibibyte }],
    });
    expect(decision.candidates).toMatchObject([
      { clusterId: 'east', score: 0.75, chosen: true },
      { clusterId: 'east', nodeId: 'n1', score: 0.375, chosen: false },
      { clusterId: 'east', nodeId: 'n2', score: 0.75, chosen: true },
      {
        clusterId: 'west',
        refusedBy: 'free.memoryBytes >= 3.0 GiB',
        seen: 'largest 2.0 GiB (n1)',
        chosen: false,
      },
      {
        clusterId: 'west',
        nodeId: 'n1',
        refusedBy: 'free.memoryBytes >= 3.0 GiB',
        seen: '2.0 GiB',
        chosen: false,
      },
    ]);
    expect(decision.evaluations.map(({ hook, action }) => `${hook}.${action}`)).toEqual([
      'clusterAllocator.selection',
      'resourceAllocator.dry_run',
      'clusterAllocator.post_dry_run',
      'resourceAllocator.allocation',
    ]);
    placement.ledgerOf('default').commit(reservationId!);
    expect(placement.ledgerOf('default').free('east', 'n2').memoryBytes).toBe(gibibyte);
  });

  it('reserves nothing in a dry run', async () => {
    const placement = testPlacement(twoClusters(), { host });

    const { decision, reservationId } = await placement.place(
      request('ocr', { memoryBytes: gibibyte }),
      { reserve: false },
    );

    expect(decision.outcome).toBe('dry-run');
    expect(reservationId).toBeUndefined();
    expect(placement.ledgerOf('default').free('west', 'n1').memoryBytes).toBe(2 * gibibyte);
  });

  it('refuses with the largest free amount and what to change', async () => {
    const placement = testPlacement(twoClusters(), { host });

    const { decision } = await placement.place(request('ocr', { memoryBytes: 12 * gibibyte }), {
      reserve: true,
    });

    expect(decision.outcome).toBe('refused');
    expect(decision.message).toContain('no node fits 12.0 GiB of memory');
    expect(decision.message).toContain("largest free: 'n1' of cluster 'east', 8.0 GiB");
    expect(decision.message).toContain('resources.memoryBytes');
  });

  it('places all instances or none, and says how many would fit', async () => {
    const placement = testPlacement([clusterView({ id: 'c', nodes: nodesOf(4, 4) })], { host });

    const { decision } = await placement.place(
      request('big', { memoryBytes: 2 }, { instances: 5 }),
      { reserve: true },
    );

    expect(decision.outcome).toBe('refused');
    expect(decision.message).toContain('only 4 of 5 instances fit');
    expect(decision.candidates[0]).toMatchObject({ refusedBy: 'room for 5 instances', seen: '4' });
    expect(placement.ledgerOf('default').free('c', 'n1').memoryBytes).toBe(4);
  });

  it('puts several instances of a block on one node where they fit', async () => {
    const placement = testPlacement([clusterView({ id: 'c', nodes: nodesOf(4) })], { host });

    const { decision } = await placement.place(
      request('small', { memoryBytes: 2 }, { instances: 2 }),
      { reserve: true },
    );

    expect(decision.plan?.instances.map(({ nodeId }) => nodeId)).toEqual(['n1', 'n1']);
    expect(placement.ledgerOf('default').free('c', 'n1').memoryBytes).toBe(0);
  });

  it('never calls a missing amount zero', async () => {
    const placement = testPlacement(twoClusters(), { host });

    const { decision } = await placement.place(request('ocr', undefined), { reserve: true });

    expect(decision.outcome).toBe('refused');
    expect(decision.message).toContain('resources');
  });

  it('reads the amounts of an AIOS document from the parameters of its allocator', async () => {
    const placement = testPlacement(twoClusters(), { host });
    const policies = { resourceAllocator: { parameters: { cpus: '2', min_memory_mb: 5000 } } };

    const { decision } = await placement.place(request('vllm', undefined, { policies }), {
      reserve: true,
    });

    expect(decision.plan?.instances[0]).toMatchObject({
      nodeId: 'n1',
      cpuCores: 2,
      memoryBytes: 5000 * 2 ** 20,
    });
  });

  it('names the condition of the filter that refused each cluster, with the value seen', async () => {
    const placement = testPlacement(twoClusters(), { host });
    const filter = {
      clusterMetricsQuery: { variable: 'cluster.gpu.totalFreeMem', operator: '>', value: '48000' },
    };

    const { decision } = await placement.place(
      request(
        'llm',
        { memoryBytes: 1 },
        { policies: { clusterAllocator: { parameters: { filter } } } },
      ),
      { reserve: true },
    );

    expect(decision.outcome).toBe('refused');
    expect(decision.candidates[0]).toEqual({
      clusterId: 'east',
      refusedBy: 'cluster.gpu.totalFreeMem > 48000',
      seen: '0',
      chosen: false,
    });
    expect(decision.message).toContain('no cluster passes the filter');
  });

  it('refuses a wrong filter with its path instead of throwing', async () => {
    const placement = testPlacement(twoClusters(), { host });
    const filter = { clusterQuery: { variable: 'gpus.cuont', operator: '>', value: 1 } };

    const { decision } = await placement.place(
      request(
        'llm',
        { memoryBytes: 1 },
        { policies: { clusterAllocator: { parameters: { filter } } } },
      ),
      { reserve: true },
    );

    expect(decision.outcome).toBe('refused');
    expect(decision.message).toContain("Did you mean 'gpus.count'");
  });

  it('keeps new instances on the cluster where the block runs', async () => {
    const placement = testPlacement(twoClusters(), { host });

    const { decision } = await placement.place(
      request('ocr', { memoryBytes: 1 }, { onlyClusterId: 'west' }),
      { reserve: true },
    );

    expect(decision.plan?.clusterId).toBe('west');
    expect(decision.candidates[0]?.refusedBy).toContain('id == west');
  });

  it('honours max_candidates and says so', async () => {
    const placement = testPlacement(twoClusters(), { host });
    const policies = { clusterAllocator: { settings: { max_candidates: 1 } } };

    const { decision } = await placement.place(request('ocr', { memoryBytes: 1 }, { policies }), {
      reserve: true,
    });

    expect(decision.plan?.clusterId).toBe('east');
    expect(decision.candidates.at(-1)?.seen).toContain('max_candidates: 1');
  });

  it('passes over unhealthy nodes', async () => {
    const view = clusterView({ id: 'c', nodes: nodesOf(4, 4) });
    const placement = testPlacement([{ ...view, healthyNodes: new Set(['n2']) }], { host });

    const { decision } = await placement.place(request('b', { memoryBytes: 1 }), { reserve: true });

    expect(decision.plan?.instances[0]?.nodeId).toBe('n2');
    expect(decision.candidates[1]).toMatchObject({ nodeId: 'n1', refusedBy: 'healthy' });
  });

  it('gives each instance devices of its own when it asks for several, shared by memory', async () => {
    const gpus = [{ memoryBytes: 10 }, { memoryBytes: 6 }, { memoryBytes: 4 }];
    const nodes = [{ id: 'n1', memoryBytes: 100, cpuCores: 8, gpus }];
    const placement = testPlacement([clusterView({ id: 'c', nodes })], { host });
    const wanted = { memoryBytes: 1, gpus: [{ memoryBytes: 4 }, { memoryBytes: 4 }] };

    const { decision } = await placement.place(request('llm', wanted, { instances: 2 }), {
      reserve: true,
    });

    const held = decision.plan?.instances.map(({ gpus }) => gpus.map(({ index }) => index).sort());
    expect(held).toEqual([
      [0, 1],
      [0, 2],
    ]);
    expect(
      placement
        .ledgerOf('default')
        .free('c', 'n1')
        .gpus.map(({ memoryBytes }) => memoryBytes),
    ).toEqual([2, 2, 0]);
  });

  it('gives an exclusive device to nobody else', async () => {
    const nodes = [{ id: 'n1', memoryBytes: 100, cpuCores: 8, gpus: [{ memoryBytes: 10 }] }];
    const placement = testPlacement([clusterView({ id: 'c', nodes })], { host });
    const shared = { memoryBytes: 1, gpus: [{ memoryBytes: 1 }] };

    const first = await placement.place(
      request('a', { memoryBytes: 1, gpus: [{ memoryBytes: 1, exclusive: true }] }),
      { reserve: true },
    );
    const second = await placement.place(request('b', shared), { reserve: true });

    expect(first.decision.outcome).toBe('placed');
    expect(second.decision.outcome).toBe('refused');
    expect(second.decision.candidates[1]?.refusedBy).toContain('free.gpus >= 1');
  });

  it('reports a policy that throws and still asks the other clusters', async () => {
    const picky = definePolicy({
      hook: 'resourceAllocator',
      name: 'picky',
      version: '1.0.0',
      description: 'Throws on the first cluster.',
      parameters: z.object({}),
      settings: z.object({}),
      evaluate(input) {
        if (input.cluster.id === 'east') throw new Error('no idea');
        if (input.action === 'allocation') return { accept: true };
        return { score: 1, assignments: [{ nodeId: 'n1' }], nodes: [] };
      },
    });
    const placement = testPlacement(twoClusters(), { host: testHost([picky]) });
    const policies = { resourceAllocator: { policyRuleURI: 'picky:1.0.0-stable' } };

    const { decision } = await placement.place(request('b', { memoryBytes: 1 }, { policies }), {
      reserve: true,
    });

    expect(decision.plan?.clusterId).toBe('west');
    expect(decision.candidates[0]?.refusedBy).toBe('resourceAllocator: POLICY_THREW');
    expect(decision.evaluations.some(({ error }) => error?.code === 'POLICY_THREW')).toBe(true);
  });

  it('refuses a plan that promises more than there is, whatever the policy says', async () => {
    const greedy = definePolicy({
      hook: 'resourceAllocator',
      name: 'greedy',
      version: '1.0.0',
      description: 'Puts everything on the first node.',
      parameters: z.object({}),
      settings: z.object({}),
      evaluate: ({ action, instances, nodes }) =>
        action === 'allocation'
          ? { accept: true }
          : {
              score: 1,
              assignments: Array.from({ length: instances }, () => ({
                nodeId: nodes[0]?.id ?? '',
              })),
            },
    });
    const placement = testPlacement([clusterView({ id: 'c', nodes: nodesOf(4, 4) })], {
      host: testHost([greedy]),
    });
    const policies = { resourceAllocator: { policyRuleURI: 'greedy:1.0.0-stable' } };

    const { decision } = await placement.place(
      request('b', { memoryBytes: 3 }, { policies, instances: 2 }),
      { reserve: true },
    );

    expect(decision.outcome).toBe('refused');
    expect(decision.candidates[0]?.refusedBy).toContain("plan of 'greedy:1.0.0-stable'");
  });

  it('frees the reservation when the allocator refuses its own plan, and takes the next cluster', async () => {
    const wavering = definePolicy({
      hook: 'resourceAllocator',
      name: 'wavering',
      version: '1.0.0',
      description: 'Refuses at the last moment.',
      parameters: z.object({}),
      settings: z.object({}),
      evaluate(input) {
        if (input.action === 'dry_run') {
          const score = input.cluster.id === 'east' ? 1 : 0.5;
          return { score, assignments: [{ nodeId: 'n1' }] };
        }
        return input.cluster.id === 'east'
          ? { accept: false, reason: 'changed its mind' }
          : { accept: true };
      },
    });
    const placement = testPlacement(twoClusters(), { host: testHost([wavering]) });
    const policies = { resourceAllocator: { policyRuleURI: 'wavering:1.0.0-stable' } };

    const { decision } = await placement.place(request('b', { memoryBytes: 1 }, { policies }), {
      reserve: true,
    });

    expect(decision.plan?.clusterId).toBe('west');
    expect(decision.candidates[0]).toMatchObject({ clusterId: 'east', seen: 'changed its mind' });
    expect(placement.ledgerOf('default').free('east', 'n1').memoryBytes).toBe(8 * gibibyte);
  });

  it('says when there is no cluster at all', async () => {
    const { decision } = await testPlacement([], { host }).place(request('b', { memoryBytes: 1 }), {
      reserve: true,
    });

    expect(decision.outcome).toBe('refused');
    expect(decision.message).toContain('aios create-cluster');
  });

  it('never oversells a node, however many blocks are placed at once', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 });
    const blocks = fc.array(
      fc.record({
        memoryBytes: fc.integer({ min: 1, max: 12 }),
        instances: fc.integer({ min: 1, max: 3 }),
      }),
      { minLength: 1, maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(sizes, blocks, fc.boolean(), async (nodes, wanted, together) => {
        const placement = testPlacement([clusterView({ id: 'c', nodes: nodesOf(...nodes) })], {
          host,
        });
        const placeOne = async (
          { memoryBytes, instances }: (typeof wanted)[number],
          at: number,
        ) => {
          const { decision, reservationId } = await placement.place(
            request(`b${at}`, { memoryBytes }, { instances }),
            { reserve: true },
          );
          if (reservationId) placement.ledgerOf('default').commit(reservationId);
          else expect(decision.outcome).toBe('refused');
        };

        if (together) await Promise.all(wanted.map(placeOne));
        else for (const [at, block] of wanted.entries()) await placeOne(block, at);

        for (const [at, size] of nodes.entries()) {
          const promised = placement
            .ledgerOf('default')
            .entries()
            .filter(({ nodeId }) => nodeId === `n${at + 1}`)
            .reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
          expect(promised).toBeLessThanOrEqual(size);
          expect(placement.ledgerOf('default').free('c', `n${at + 1}`).memoryBytes).toBe(
            size - promised,
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  it('decides the same whatever order nodes are listed in, and more capacity never refuses', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 1, max: 12 }), async (nodes, memoryBytes) => {
        const forward = clusterView({ id: 'c', nodes: nodesOf(...nodes) });
        const backward = {
          ...forward,
          spec: { ...forward.spec, nodes: [...forward.spec.nodes].reverse() },
        };
        const larger = clusterView({ id: 'c', nodes: nodesOf(...nodes.map((size) => size + 1)) });
        const wanted = request('b', { memoryBytes }, { instances: 2 });
        const place = async (view: typeof forward) =>
          (await testPlacement([view], { host }).place(wanted, { reserve: true })).decision;

        const decision = await place(forward);

        expect((await place(backward)).plan).toEqual(decision.plan);
        if (decision.outcome === 'placed') expect((await place(larger)).outcome).toBe('placed');
      }),
      { numRuns: 40 },
    );
  });
});

describe('a decision about many nodes', () => {
  const many = () => {
    const nodes = Array.from({ length: 1000 }, (_, at) => ({
      ...{ id: `n${at}`, cpuCores: at % 10 === 0 ? 0.5 : 4 },
      memoryBytes: at % 4 === 0 ? 1 : 100 + at,
    }));
    return clusterView({ id: 'large', nodes });
  };

  it('keeps the chosen node, the best 20 scores, 5 examples a condition, and counts of all', async () => {
    const placement = testPlacement([many()], { host });

    const { decision } = await placement.place(request('b', { memoryBytes: 50, cpuCores: 1 }), {
      reserve: true,
    });

    const chosen = decision.plan?.instances[0]?.nodeId;
    const rows = decision.candidates.filter(({ nodeId }) => nodeId !== undefined);
    expect(decision.candidates[0]).toMatchObject({ clusterId: 'large', chosen: true });
    expect(rows.filter((row) => row.chosen).map(({ nodeId }) => nodeId)).toEqual([chosen]);
    const scores = rows.filter((row) => !row.chosen).flatMap(({ score }) => score ?? []);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    expect(scores).toHaveLength(20);
    expect(rows.filter(({ refusedBy }) => refusedBy === 'free.cpuCores >= 1')).toHaveLength(5);
    expect(decision.candidateCounts).toEqual({
      total: 1000,
      scored: 700,
      refused: [
        { refusedBy: 'free.memoryBytes >= 50 B', count: 250 },
        { refusedBy: 'free.cpuCores >= 1', count: 50 },
      ],
    });
    expect(JSON.stringify(decision).length).toBeLessThan(20_000);
  });

  it('keeps every row of a hundred nodes', async () => {
    const { spec } = many();
    const placement = testPlacement([clusterView({ ...spec, nodes: spec.nodes.slice(0, 100) })], {
      host,
    });

    const { decision } = await placement.place(request('b', { memoryBytes: 50 }), {
      reserve: true,
    });

    expect(decision.candidates).toHaveLength(101);
    expect(decision.candidateCounts).toBeUndefined();
  });

  it('stays small and readable whatever a policy writes into its answer', async () => {
    const chatty = definePolicy({
      hook: 'resourceAllocator',
      name: 'chatty',
      version: '1.0.0',
      description: 'Words each refusal differently, and at length.',
      parameters: z.object({}),
      settings: z.object({}),
      evaluate: ({ action, nodes }) =>
        action === 'allocation'
          ? { accept: false, reason: 'no' }
          : {
              score: 0,
              assignments: [],
              nodes: nodes.map(({ id }) => ({
                nodeId: id,
                refusedBy: `${id} ${'x'.repeat(5000)}`,
                seen: 'y'.repeat(5000),
              })),
            },
    });
    const placement = testPlacement([many()], { host: testHost([chatty]) });
    const policies = { resourceAllocator: { policyRuleURI: 'chatty:1.0.0-stable' } };

    const { decision } = await placement.place(request('b', { memoryBytes: 50 }, { policies }), {
      reserve: true,
    });

    expect(decision.outcome).toBe('refused');
    expect(JSON.stringify(decision).length).toBeLessThan(500_000);
    expect(decision.candidateCounts?.refused.length).toBeLessThanOrEqual(52);
  });

  it('sees each node as it is now, and unchanged ones as the same objects', async () => {
    const view = many();
    const placement = testPlacement([view], { host });
    const before = placement.snapshot('default', view);
    const { decision } = await placement.place(request('b', { memoryBytes: 50 }), {
      reserve: true,
    });

    const after = placement.snapshot('default', view);

    const at = before.nodes.findIndex(({ id }) => id === decision.plan?.instances[0]?.nodeId);
    const differing = after.nodes.flatMap((node, index) =>
      node === before.nodes[index] ? [] : [index],
    );
    expect(differing).toEqual([at]);
    expect(after.nodes[at]?.free.memoryBytes).toBe((before.nodes[at]?.free.memoryBytes ?? 0) - 50);
    expect(placement.snapshot('default', view)).toBe(after);
  });
});

describe('two tenants', () => {
  it('hold clusters of one name apart, and are never offered each other’s', async () => {
    const small = clusterView({ id: 'home', nodes: nodesOf(2) });
    const large = clusterView({ id: 'home', nodes: nodesOf(8) });
    const placement = createPlacement({
      host,
      inventory: (tenant) => ({ clusters: [tenant === 'a' ? small : large], revision: 1 }),
    });
    placement.ledgerOf('a').setCluster(small.spec);
    placement.ledgerOf('b').setCluster(large.spec);
    const place = (tenant: string) =>
      placement.place({ ...request('x', { memoryBytes: 2 }), tenant }, { reserve: true });

    expect((await place('a')).decision.outcome).toBe('placed');
    expect((await place('b')).decision.outcome).toBe('placed');

    expect(placement.ledgerOf('a').free('home', 'n1').memoryBytes).toBe(0);
    expect(placement.ledgerOf('b').free('home', 'n1').memoryBytes).toBe(6);
  });
});
