import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type ClusterView, createPlacement } from '../../../runtime/placement/index.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import { clusterView, gibibyte, nodesOf, request, testHost } from '../../support/clusters.ts';

const never = definePolicy({
  hook: 'resourceAllocator',
  name: 'no-place-at-all',
  version: '1.0.0',
  description: 'Finds no place, whatever it sees.',
  parameters: z.strictObject({}),
  evaluate: (input) =>
    input.action === 'allocation'
      ? { accept: false as const, reason: 'never' }
      : { score: 0, assignments: [] },
});
const host = testHost([never]);
afterAll(() => host.close());

const load = (value: number) => ({ n1: { load15m: value } });
const node = { id: 'c', nodes: nodesOf(4 * gibibyte) };

/** A placement over clusters that change. */
function changing(first: readonly ClusterView[]) {
  let clusters = first;
  const placement = createPlacement({ host, inventory: () => ({ clusters, revision: 1 }) });
  const ledger = placement.ledgerOf('default');
  for (const { spec } of first) ledger.setCluster(spec);
  return {
    ...{ placement, ledger },
    become(next: readonly ClusterView[]) {
      for (const { spec } of next) {
        if (!clusters.some((view) => view.spec === spec)) ledger.setCluster(spec);
      }
      clusters = next;
    },
  };
}

async function refused(
  { placement }: Pick<ReturnType<typeof changing>, 'placement'>,
  asked: ReturnType<typeof request>,
) {
  const { decision, awaited } = await placement.place(asked, { reserve: true });
  expect(decision.outcome).toBe('refused');
  if (!awaited) throw new Error('nothing to wait for');
  return () => placement.hasChanged(asked, awaited);
}

describe('what a refusal went by', () => {
  it('is the room of the clusters: taking some is no news, giving some back is', async () => {
    const all = changing([clusterView(node)]);
    const plan = (id: string) => ({
      ...{ blockId: id, clusterId: 'c', score: 1 },
      instances: [{ instanceId: id, nodeId: 'n1', memoryBytes: gibibyte, cpuCores: 0, gpus: [] }],
    });
    all.ledger.reserve(plan('a'), 10_000);
    const changed = await refused(all, request('x', { memoryBytes: 4 * gibibyte }));
    expect(changed()).toBe(false);

    all.ledger.reserve(plan('b'), 10_000);
    expect(changed()).toBe(false);
    all.ledger.release('a');
    expect(changed()).toBe(true);
  });

  it('is not what was measured, where only amounts were short', async () => {
    const view = clusterView(node, load(1));
    const all = changing([view]);
    const changed = await refused(all, request('x', { memoryBytes: 5 * gibibyte }));

    all.become([{ ...view, measured: clusterView(node, load(9)).measured }]);

    expect(changed()).toBe(false);
  });

  it('is what was measured where a filter asks for it, and only once that lets something through', async () => {
    const view = clusterView(node, load(9));
    const all = changing([view]);
    const filter = {
      clusterMetricsQuery: { variable: 'cluster.vcpu.load15m', operator: '<', value: 5 },
    };
    const policies = { clusterAllocator: { parameters: { filter } } };
    const changed = await refused(all, request('x', { memoryBytes: gibibyte }, { policies }));

    all.become([{ ...view, measured: clusterView(node, load(8)).measured }]);
    expect(changed()).toBe(false);
    all.become([{ ...view, measured: clusterView(node, load(2)).measured }]);
    expect(changed()).toBe(true);
  });

  it('is everything that a policy saw where the refusal is its own', async () => {
    const view = clusterView(node, load(1));
    const all = changing([view]);
    const policies = { resourceAllocator: { policyRuleURI: 'no-place-at-all:1.0.0-stable' } };
    const changed = await refused(all, request('x', { memoryBytes: gibibyte }, { policies }));
    expect(changed()).toBe(false);

    all.become([{ ...view, measured: clusterView(node, load(2)).measured }]);

    expect(changed()).toBe(true);
  });

  it('is a cluster more, a cluster changed, a node that is healthy again', async () => {
    const sick = { ...clusterView(node), healthyNodes: new Set<string>() };
    const all = changing([sick]);
    const changed = await refused(all, request('x', { memoryBytes: gibibyte }));
    expect(changed()).toBe(false);

    all.become([sick, clusterView({ id: 'other', nodes: nodesOf(gibibyte) })]);
    expect(changed()).toBe(true);
    all.become([{ ...sick, healthyNodes: new Set<string>() }]);
    expect(changed()).toBe(false);
    all.become([{ ...sick, healthyNodes: new Set(['n1']) }]);
    expect(changed()).toBe(true);
  });

  it('is nothing where the documents are at fault', async () => {
    const { placement } = changing([clusterView(node)]);
    const policies = {
      clusterAllocator: { parameters: { filter: { clusterQuery: { variable: 'gpus.cuont' } } } },
    };

    const noAmounts = await placement.place(request('x', undefined), { reserve: true });
    const noFilter = await placement.place(request('x', { memoryBytes: 1 }, { policies }), {
      reserve: true,
    });

    expect([noAmounts.awaited, noFilter.awaited]).toEqual([undefined, undefined]);
  });
});
