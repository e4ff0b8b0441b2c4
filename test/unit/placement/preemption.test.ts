import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ClusterView } from '../../../runtime/placement/index.ts';
import { createPlacement, type PlacementOptions } from '../../../runtime/placement/index.ts';
import type { HookInput } from '../../../sdk/hooks.ts';
import { definePolicy } from '../../../sdk/policy.ts';
import { clusterView, gibibyte, nodesOf, request, testHost } from '../../support/clusters.ts';

const asked: HookInput<'preemption'>[] = [];
const watching = definePolicy({
  hook: 'preemption',
  name: 'watching',
  version: '1.0.0',
  description: 'Remembers what it was shown and takes the first option.',
  parameters: z.strictObject({ refuse: z.string().optional() }),
  evaluate(input, { parameters }) {
    asked.push(input);
    return parameters.refuse === undefined ? { option: 0 } : { refused: parameters.refuse };
  },
});
const host = testHost([watching]);
afterAll(() => host.close());

const priorities: Readonly<Record<string, number>> = { low: 1, mid: 5, high: 9 };

function placementOf(views: readonly ClusterView[], options: Partial<PlacementOptions> = {}) {
  const placement = createPlacement({
    host,
    inventory: () => ({ clusters: views, revision: 1 }),
    blockPriority: (_, blockId) => priorities[blockId.split('-')[0] ?? ''] ?? 0,
    ...options,
  });
  for (const { spec } of views) placement.ledgerOf('default').setCluster(spec);
  return placement;
}
type Placement = ReturnType<typeof placementOf>;

async function place(
  placement: Placement,
  id: string,
  gibibytes: number,
  options: Parameters<typeof request>[2] = {},
) {
  const plain = request(id, { memoryBytes: gibibytes * gibibyte, cpuCores: 0.5 }, options);
  const priority = priorities[id.split('-')[0] ?? ''] ?? 0;
  const block = { ...plain.block, priority };
  return placement.place({ ...plain, block }, { reserve: true });
}

async function run(placement: Placement, id: string, gibibytes: number): Promise<string> {
  const { reservationId, decision } = await place(placement, id, gibibytes);
  if (!reservationId) throw new Error(decision.message);
  placement.ledgerOf('default').commit(reservationId);
  return decision.plan?.instances[0]?.instanceId ?? '';
}

const watchingPolicy = (parameters = {}) => ({
  policies: { preemption: { policyRuleURI: 'watching:1.0.0-stable', parameters } },
});

describe('making room by priority', () => {
  it('takes the place of the fewest of the lowest priority, and nobody else gets the room', async () => {
    const placement = placementOf([
      clusterView({ id: 'c', nodes: nodesOf(8 * gibibyte, 8 * gibibyte) }),
    ]);
    const ledger = placement.ledgerOf('default');
    await run(placement, 'mid-1', 7);
    const victim = await run(placement, 'low-1', 7);

    const { decision, reservationId, preempted } = await place(placement, 'high-1', 6);

    expect(decision.outcome).toBe('placed');
    expect(preempted).toEqual([victim]);
    expect(decision.details).toEqual({ preempted: [victim] });
    expect(decision.message).toContain(`in the place of ${victim}`);
    const node = decision.plan?.instances[0]?.nodeId ?? '';
    expect(() => ledger.commit(reservationId ?? '')).toThrow('has not ended');
    // The victim's room is the plan's from the moment at which it is given back.
    expect((await place(placement, 'low-2', 2)).decision.outcome).toBe('refused');
    ledger.release(victim);
    expect(ledger.free('c', node).memoryBytes).toBe(2 * gibibyte);
    ledger.commit(reservationId ?? '');
    expect(ledger.free('c', node).memoryBytes).toBe(2 * gibibyte);
  });

  it('shows the policy options of lower priority only, and lets it refuse', async () => {
    const placement = placementOf([
      clusterView({ id: 'c', nodes: nodesOf(4 * gibibyte, 4 * gibibyte) }),
    ]);
    await run(placement, 'low-1', 4);
    await run(placement, 'mid-1', 4);
    asked.length = 0;

    const refused = await place(placement, 'mid-2', 3, watchingPolicy({ refuse: 'not today' }));

    expect(refused.decision.outcome).toBe('refused');
    expect(refused.decision.message).toContain(
      "'watching:1.0.0-stable' ends nothing for it: not today",
    );
    expect(asked[0]?.options.map(({ victims }) => victims.map(({ blockId }) => blockId))).toEqual([
      ['low-1'],
    ]);
    expect(placement.ledgerOf('default').free('c', 'n1').memoryBytes).toBe(0);
  });

  it('asks nobody where all have the same priority or ending some would not help', async () => {
    const placement = placementOf([clusterView({ id: 'c', nodes: nodesOf(4 * gibibyte) })]);
    await run(placement, 'low-1', 4);
    asked.length = 0;

    const equal = await place(placement, 'low-2', 1, watchingPolicy());
    const tooLarge = await place(placement, 'high-1', 5, watchingPolicy());

    expect([equal.decision.outcome, tooLarge.decision.outcome]).toEqual(['refused', 'refused']);
    expect(asked).toEqual([]);
  });

  it('spares what fits beside it, and shows at most 20 options', async () => {
    const sizes = Array.from({ length: 30 }, () => 8 * gibibyte);
    const placement = placementOf([clusterView({ id: 'c', nodes: nodesOf(...sizes) })]);
    for (let at = 0; at < 30; at += 1) {
      await run(placement, `mid-${at}`, 5);
      await run(placement, `low-${at}`, 3);
    }
    asked.length = 0;

    const { preempted } = await place(placement, 'high-1', 5, watchingPolicy());

    expect(asked[0]?.options).toHaveLength(20);
    expect(asked[0]?.options.every(({ victims }) => victims.length === 1)).toBe(true);
    expect(preempted).toHaveLength(1);
    expect(preempted?.[0]).toContain('mid-');
  });

  it('gives the room back when what was reserved is cancelled or expires', async () => {
    let now = 0;
    const placement = placementOf([clusterView({ id: 'c', nodes: nodesOf(4 * gibibyte) })], {
      clock: () => now,
    });
    const ledger = placement.ledgerOf('default');
    const victim = await run(placement, 'low-1', 3);
    const first = await place(placement, 'high-1', 4);
    expect(first.preempted).toEqual([victim]);
    ledger.cancel(first.reservationId ?? '');
    expect(ledger.free('c', 'n1').memoryBytes).toBe(gibibyte);

    await place(placement, 'high-2', 4);
    expect(ledger.free('c', 'n1').memoryBytes).toBe(0);
    now = 200_000;
    expect(ledger.free('c', 'n1').memoryBytes).toBe(gibibyte);
    ledger.release(victim);
    expect(ledger.free('c', 'n1').memoryBytes).toBe(4 * gibibyte);
  });

  it('needs no victims on nodes that have room already', async () => {
    const placement = placementOf([
      clusterView({ id: 'c', nodes: nodesOf(4 * gibibyte, 4 * gibibyte) }),
    ]);
    const victim = await run(placement, 'low-1', 4);

    const { decision, preempted } = await place(placement, 'high-1', 4, { instances: 2 });

    expect(decision.outcome).toBe('placed');
    expect(preempted).toEqual([victim]);
    expect(new Set(decision.plan?.instances.map(({ nodeId }) => nodeId))).toEqual(
      new Set(['n1', 'n2']),
    );
  });
});
