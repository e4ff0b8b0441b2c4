import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import defaultSelector from '../../../policies/cluster-allocator/default-selector.ts';
import { clusterAllocators } from '../../../policies/cluster-allocator/index.ts';
import llmSelector from '../../../policies/cluster-allocator/llm-cluster-selector.ts';
import preferredRegion from '../../../policies/cluster-allocator/preferred-region.ts';
import yoloSelector from '../../../policies/cluster-allocator/yolo-cluster-selector.ts';
import type { ClusterSnapshot } from '../../../sdk/cluster.ts';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import type { HookAnswer } from '../../../sdk/hooks.ts';
import { clusterView, nodesOf, request, testPlacement } from '../../support/clusters.ts';
import { ask } from './ask.ts';
import { cluster, device, node } from './snapshots.ts';

type Selection = HookAnswer<'clusterAllocator', 'selection'>;
const select = (
  policy: Parameters<typeof ask>[0],
  clusters: readonly ClusterSnapshot[],
  options: NonNullable<Parameters<typeof ask>[2]> = {},
): Selection => ask(policy, { ...exampleInputs.clusterAllocator.selection, clusters }, options);

const gpus = (count: number, freeMemoryBytes = 24, utilizationFraction = 0) =>
  Array.from({ length: count }, (_, at) => device(at, { freeMemoryBytes, utilizationFraction }));

describe.each(clusterAllocators.map((policy) => [policy.name, policy] as const))(
  '%s',
  (_, policy) => {
    it('names each cluster once, as chosen or with the reason why not', () => {
      const sizes = fc.array(fc.nat(3), { maxLength: 6 });
      fc.assert(
        fc.property(sizes, fc.integer({ min: 1, max: 9 }), (free, max_candidates) => {
          const clusters = free.map((each, at) => cluster(`c${at}`, [node('n', { free: each })]));
          const options = { settings: { max_candidates } };
          const { clusters: chosen, refused = [] } = select(policy, clusters, options);

          expect(chosen.length).toBeLessThanOrEqual(max_candidates);
          const named = [...chosen, ...refused.map(({ clusterId }) => clusterId)];
          expect(named.sort()).toEqual(clusters.map(({ id }) => id).sort());
          const { clusters: again } = select(policy, [...clusters].reverse(), options);
          expect(again).toEqual(chosen);
        }),
      );
    });

    it('takes one of the plans, and has nothing to take of none', () => {
      const plan = (clusterId: string, score: number) => ({ clusterId, score, assignments: [] });
      const choose = (...candidates: readonly unknown[]) =>
        ask<{ clusterId: string }>(policy, {
          ...exampleInputs.clusterAllocator.post_dry_run,
          candidates,
        }).clusterId;

      expect(choose(plan('b', 0.5), plan('a', 0.2))).toBe('b');
      expect(choose(plan('a', 0.5), plan('b', 0.5))).toBe('a');
      expect(choose()).toBe('');
    });
  },
);

describe("AIOS's selectors", () => {
  it('llm-cluster-selector looks for devices on one machine', () => {
    const together = cluster('together', [node('n', { gpus: gpus(3) })]);
    const apart = cluster(
      'apart',
      [1, 2, 3, 4].map((at) => node(`n${at}`, { gpus: gpus(1) })),
    );
    const failed = cluster('failed', [node('n', { gpus: gpus(8), healthy: false })]);

    expect(select(llmSelector, [apart, failed, together]).clusters).toEqual([
      ...['together', 'apart', 'failed'],
    ]);
  });

  it('yolo-cluster-selector counts idle devices, wherever they are', () => {
    const idle = cluster(
      'idle',
      [1, 2, 3].map((at) => node(`n${at}`, { gpus: gpus(1) })),
    );
    const busy = cluster('busy', [node('n', { gpus: gpus(8, 24, 0.9) })]);

    expect(select(yoloSelector, [busy, idle]).clusters).toEqual(['idle', 'busy']);
  });

  it('default-selector goes by free cores', () => {
    const clusters = [cluster('few', [node('n', { cores: 2 })]), cluster('many', [node('n')])];

    expect(select(defaultSelector, clusters, { settings: { max_candidates: '1' } })).toMatchObject({
      clusters: ['many'],
      refused: [{ clusterId: 'few', reason: 'max_candidates: 1 (this cluster is number 2)' }],
    });
  });
});

describe('preferred-region', () => {
  const clusters = [
    cluster('far', [node('n', { free: 16 })], 'asia'),
    cluster('near', [node('n', { free: 1 })], 'europe'),
    cluster('roomy', [node('n', { free: 4 })], 'europe'),
  ];

  it('goes by the list, then by room, and by others only where it may', () => {
    const regions = ['europe'];
    expect(select(preferredRegion, clusters, { parameters: { regions } }).clusters).toEqual([
      ...['roomy', 'near', 'far'],
    ]);
    expect(
      select(preferredRegion, clusters, { parameters: { regions, others: 'never' } }).refused,
    ).toEqual([{ clusterId: 'far', reason: "region 'asia' is none of: europe" }]);
  });

  it('takes the preferred cluster that has room, whatever the others score', async () => {
    const view = (id: string, regionId: string, ...bytes: number[]) =>
      clusterView({ id, regionId, nodes: nodesOf(...bytes) });
    const placement = testPlacement([
      view('big', 'asia', 1000, 1000),
      view('full', 'europe', 1),
      view('fair', 'africa', 20),
    ]);
    const place = async (regions: readonly string[]) => {
      const policies = {
        clusterAllocator: {
          policyRuleURI: 'preferred-region:1.0.0-stable' as never,
          ...{ parameters: { regions }, settings: {} },
        },
      };
      const options = { reserve: false };
      const { decision } = await placement.place(
        request('b', { memoryBytes: 2 }, { policies }),
        options,
      );
      return decision.plan?.clusterId;
    };

    expect(await place(['europe', 'africa'])).toBe('fair');
    expect(await place(['asia'])).toBe('big');
  });
});
