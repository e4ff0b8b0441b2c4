import { describe, expect, it } from 'vitest';
import { placementRules } from '../../../sdk/spec/common.ts';
import { clusterView, gibibyte, nodesOf, request, testPlacement } from '../../support/clusters.ts';

type Rules = Parameters<typeof placementRules.parse>[0];

const place = async (
  placement: ReturnType<typeof testPlacement>,
  id: string,
  rules: Rules,
  options: Parameters<typeof request>[2] & { readonly tags?: readonly string[] } = {},
) => {
  const asked = request(id, { memoryBytes: gibibyte, cpuCores: 1, gpus: [] }, options);
  const block = { ...asked.block, placement: placementRules.parse(rules) };
  const { decision, reservationId } = await placement.place({ ...asked, block }, { reserve: true });
  if (reservationId !== undefined) placement.ledgerOf('default').commit(reservationId);
  const nodes = decision.plan?.instances.map(({ nodeId }) => nodeId);
  const refusals = Object.fromEntries(
    decision.candidates.flatMap(({ nodeId, refusedBy, seen }) =>
      nodeId && refusedBy ? [[nodeId, `${refusedBy}; saw ${seen}`]] : [],
    ),
  );
  return { nodes, refusals, decision };
};

const zones = () => [
  { id: 'a1', memoryBytes: 8 * gibibyte, cpuCores: 4, metadata: { zone: 'a' } },
  { id: 'a2', memoryBytes: 8 * gibibyte, cpuCores: 4, metadata: { zone: 'a' } },
  { id: 'b1', memoryBytes: 8 * gibibyte, cpuCores: 4, metadata: { zone: 'b' } },
];

describe('what the platform asks of a node', () => {
  it('required node affinity refuses with the condition and the value seen', async () => {
    const placement = testPlacement([clusterView({ id: 'c', nodes: zones() })]);

    const { nodes, refusals } = await place(placement, 'x', {
      nodeAffinity: {
        required: { nodeQuery: { variable: 'metadata.zone', operator: '==', value: 'b' } },
      },
    });

    expect(nodes).toEqual(['b1']);
    expect(refusals.a1).toBe('metadata.zone == b; saw a');
  });

  it('a filter of the resource allocator is applied the same way, down to devices', async () => {
    const gpu = (memoryGibibytes: number) => ({ memoryBytes: memoryGibibytes * gibibyte });
    const view = clusterView({
      id: 'c',
      nodes: [
        { id: 'small', memoryBytes: gibibyte * 8, cpuCores: 4, gpus: [gpu(8), gpu(8), gpu(8)] },
        { id: 'mixed', memoryBytes: gibibyte * 8, cpuCores: 4, gpus: [gpu(8), gpu(24), gpu(24)] },
      ],
    });
    const placement = testPlacement([view]);
    const asked = request(
      'x',
      {
        memoryBytes: gibibyte,
        cpuCores: 1,
        gpus: [{ memoryBytes: gibibyte }, { memoryBytes: gibibyte }],
      },
      {
        policies: {
          resourceAllocator: {
            parameters: {
              filter: {
                gpuQuery: {
                  count: 2,
                  where: { variable: 'freeMem', operator: '>=', value: '16000' },
                },
              },
            },
          },
        },
      },
    );

    const { decision } = await placement.place(asked, { reserve: false });

    expect(decision.plan?.instances[0]).toMatchObject({
      nodeId: 'mixed',
      gpus: [{ index: 1 }, { index: 2 }],
    });
    expect(decision.candidates.find(({ nodeId }) => nodeId === 'small')?.refusedBy).toContain(
      'freeMem >= 16000',
    );
  });

  it('a preferred node wins among equals, and is no condition', async () => {
    const placement = testPlacement([clusterView({ id: 'c', nodes: zones() })]);
    const prefer = {
      nodeAffinity: {
        preferred: [
          {
            weight: 1,
            filter: { nodeQuery: { variable: 'id', operator: '==', value: 'b1' } },
          },
        ],
      },
    };

    expect((await place(placement, 'x', prefer)).nodes).toEqual(['b1']);
    const all = await place(placement, 'y', prefer, { instances: 10 });
    expect(new Set(all.nodes)).toEqual(new Set(['a1', 'a2', 'b1']));
  });

  it('anti-affinity keeps blocks apart by node and by zone, affinity brings them together', async () => {
    const placement = testPlacement([clusterView({ id: 'c', nodes: zones() })]);
    const first = await place(placement, 'first', {});
    const [home] = first.nodes ?? [];
    expect(home).toBe('a1');

    const apart = await place(placement, 'apart', {
      antiAffinity: [{ ids: ['first'], topologyKey: 'zone' }],
    });
    const beside = await place(placement, 'beside', {
      affinity: [{ ids: ['first'] }],
      antiAffinity: [{ ids: ['apart'] }],
    });
    const nowhere = await place(placement, 'nowhere', {
      antiAffinity: [{ ids: ['first', 'apart'], topologyKey: 'zone' }],
    });

    expect(apart.nodes).toEqual(['b1']);
    expect(apart.refusals.a2).toBe(
      'no first, apart on the same zone; saw first'.replace(', apart', ''),
    );
    expect(beside.nodes).toEqual(['a1']);
    expect(beside.refusals.b1).toBe('on the same node as first; saw b1');
    expect(nowhere.nodes).toBeUndefined();
  });

  it('taints keep away what does not tolerate them', async () => {
    const [a1, a2, b1] = zones();
    const view = clusterView({
      id: 'c',
      nodes: [
        { ...a1, taints: [{ key: 'gpu-only', value: 'yes' }] },
        { ...a2, taints: [{ key: 'spot', effect: 'prefer-no-schedule' }] },
        { ...b1 },
      ] as never,
    });
    const placement = testPlacement([view]);

    const plain = await place(placement, 'plain', {});
    const many = await place(placement, 'many', {}, { instances: 6 });
    const tolerant = await place(placement, 'tolerant', {
      tolerations: [{ key: 'gpu-only' }],
      nodeAffinity: {
        required: { nodeQuery: { variable: 'id', operator: '==', value: 'a1' } },
      },
    });

    expect(plain.nodes).toEqual(['b1']);
    expect(plain.refusals.a1).toBe("a toleration of the taint 'gpu-only=yes'; saw none");
    expect(new Set(many.nodes)).toEqual(new Set(['a2', 'b1']));
    expect(tolerant.nodes).toEqual(['a1']);
  });

  it('a wrong filter refuses the placement and names its place', async () => {
    const placement = testPlacement([clusterView({ id: 'c', nodes: nodesOf(gibibyte * 4) })]);

    const { decision } = await place(placement, 'x', {
      nodeAffinity: {
        required: { nodeQuery: { variable: 'gpu.cuont', operator: '>', value: 1 } },
      },
    });

    expect(decision.outcome).toBe('refused');
    expect(decision.message).toContain('$.placement.nodeAffinity.required.nodeQuery.variable');
    expect(decision.message).toContain("Did you mean 'gpu.count'?");
  });
});
