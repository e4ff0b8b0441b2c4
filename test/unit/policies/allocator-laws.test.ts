import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resourceAllocators } from '../../../policies/resource-allocator/index.ts';
import type { NodeSnapshot } from '../../../sdk/cluster.ts';
import { chooseDevices, misfit, withInstance } from '../../../sdk/fit.ts';
import type { HookAnswer } from '../../../sdk/hooks.ts';
import type { ResourceAmounts } from '../../../sdk/spec/common.ts';
import { ask } from './ask.ts';
import { type DryRun, device, dryRunOn, node } from './snapshots.ts';

const gpu = fc.record({
  totalMemoryBytes: fc.integer({ min: 0, max: 24 }),
  takenBytes: fc.integer({ min: 0, max: 24 }),
  sharedBy: fc.integer({ min: 0, max: 2 }),
  exclusive: fc.boolean(),
  utilizationFraction: fc.constantFrom(0, 0.5, 1),
});
/** Machines of every kind: without memory, cores or devices, measured or not, with metadata that makes no sense. */
const machine = fc.record({
  memory: fc.integer({ min: 0, max: 16 }),
  cores: fc.integer({ min: 0, max: 8 }),
  load15m: fc.option(fc.integer({ min: 0, max: 9 }), { nil: undefined }),
  gpus: fc.array(gpu, { maxLength: 3 }),
  metadata: fc.dictionary(
    fc.constantFrom('zone', 'costPerHour', 'data'),
    fc.oneof(fc.constantFrom('a', 'b', '', '3'), fc.integer(), fc.constant(null)),
  ),
  tags: fc.subarray(['a', 'b']),
});
const resources: fc.Arbitrary<ResourceAmounts> = fc.record({
  memoryBytes: fc.integer({ min: 0, max: 8 }),
  cpuCores: fc.integer({ min: 0, max: 3 }),
  gpus: fc.array(
    fc.record({ memoryBytes: fc.integer({ min: 1, max: 12 }), exclusive: fc.boolean() }),
    { maxLength: 2 },
  ),
});
const cases = fc.record({
  machines: fc.array(machine, { maxLength: 6 }),
  resources,
  instances: fc.integer({ min: 1, max: 5 }),
});

type Machine = typeof machine extends fc.Arbitrary<infer T> ? T : never;

/** The platform asks about nodes that hold one instance at least. */
function nodesOf(machines: readonly Machine[], amounts: ResourceAmounts) {
  return machines
    .map(({ gpus, load15m, ...rest }, at) =>
      node(`n${at}`, {
        ...rest,
        ...(load15m === undefined ? {} : { load15m }),
        gpus: gpus.map(({ takenBytes, ...more }, index) =>
          device(index, {
            ...more,
            freeMemoryBytes: Math.max(0, more.totalMemoryBytes - takenBytes),
          }),
        ),
      }),
    )
    .filter((each) => misfit(each, amounts) === undefined);
}

/** Instances that a node holds, one after the other. */
function roomOf(given: NodeSnapshot, amounts: ResourceAmounts, most: number): number {
  let at = given;
  for (let count = 0; count < most; count += 1) {
    const devices = misfit(at, amounts) ? undefined : chooseDevices(at, amounts);
    if (!devices) return count;
    at = withInstance(at, amounts, devices);
  }
  return most;
}

describe.each(resourceAllocators.map((policy) => [policy.name, policy] as const))(
  '%s',
  (_, policy) => {
    it('places all instances where they fit, whenever there is room for all, or none', () => {
      fc.assert(
        fc.property(cases, ({ machines, resources: amounts, instances }) => {
          const nodes = nodesOf(machines, amounts);
          const question = dryRunOn(nodes, { resources: amounts, instances });
          const { score, assignments } = ask<DryRun>(policy, question);

          const room = nodes.reduce((sum, each) => sum + roomOf(each, amounts, instances), 0);
          expect(assignments).toHaveLength(room >= instances ? instances : 0);
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(1);
          const now = new Map(nodes.map((each) => [each.id, each]));
          for (const { nodeId, gpus = [] } of assignments) {
            const taken = now.get(nodeId) as NodeSnapshot;
            expect(misfit(taken, amounts)).toBeUndefined();
            expect(new Set(gpus).size).toBe(amounts.gpus.length);
            for (const [at, index] of gpus.entries()) {
              const chosen = taken.gpus.find((each) => each.index === index);
              expect(chosen?.exclusive).toBe(false);
              expect(chosen?.freeMemoryBytes).toBeGreaterThanOrEqual(
                amounts.gpus[at]?.memoryBytes ?? 0,
              );
            }
            now.set(nodeId, withInstance(taken, amounts, gpus));
          }
        }),
      );
    });

    it('does not care in which order nodes are listed, and takes the smaller id of equals', () => {
      fc.assert(
        fc.property(cases, ({ machines, resources: amounts, instances }) => {
          const nodes = nodesOf(machines, amounts);
          const placed = (listed: readonly NodeSnapshot[]) =>
            ask<DryRun>(policy, dryRunOn(listed, { resources: amounts, instances })).assignments;

          expect(placed([...nodes].reverse())).toEqual(placed(nodes));
        }),
        { numRuns: 50 },
      );
      const equals = ['n2', 'n1', 'n3'].map((id) => node(id));
      expect(ask<DryRun>(policy, dryRunOn(equals)).assignments[0]?.nodeId).toBe('n1');
    });

    it('has nothing to say without nodes', () => {
      expect(ask<DryRun>(policy, dryRunOn([]))).toMatchObject({ score: 0, assignments: [] });
      const allocation = { ...dryRunOn([]), action: 'allocation' as const };
      const answer = ask<HookAnswer<'resourceAllocator', 'allocation'>>(policy, allocation);
      expect(answer.accept).toBe(false);
    });

    it('accepts a plan as it is reserved, and makes one for who has none', () => {
      const allocation = { ...dryRunOn([node('n1')]), action: 'allocation' as const };
      const plan = { clusterId: 'c', score: 1, assignments: [{ nodeId: 'n1', gpus: [] }] };

      expect(ask(policy, { ...allocation, plan })).toEqual({ accept: true });
      expect(ask(policy, allocation)).toMatchObject({
        accept: true,
        assignments: [{ nodeId: 'n1', gpus: [] }],
      });
    });
  },
);
