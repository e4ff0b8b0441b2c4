import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLedger, createPlacement } from '../../../runtime/placement/index.ts';
import type { PlannedInstance } from '../../../sdk/client/api.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { clusterView, request, testHost } from '../../support/clusters.ts';

const nodes = ['a', 'b'];
const capacity = { memoryBytes: 12, cpuCores: 4, gpus: [{ memoryBytes: 8 }, { memoryBytes: 8 }] };
const view = () => clusterView({ id: 'c', nodes: nodes.map((id) => ({ id, ...capacity })) });

const gpu = fc.record({
  index: fc.integer({ min: 0, max: 1 }),
  memoryBytes: fc.integer({ min: 1, max: 8 }),
  exclusive: fc.boolean(),
});
const amounts = fc.record({
  nodeId: fc.constantFrom(...nodes),
  memoryBytes: fc.integer({ min: 1, max: 8 }),
  cpuCores: fc.constantFrom(0.5, 1, 2),
  gpus: fc.uniqueArray(gpu, { maxLength: 2, selector: ({ index }) => index }),
});
const pick = fc.nat({ max: 50 });
const command = fc.oneof(
  fc.record({
    type: fc.constant('reserve' as const),
    plan: fc.array(amounts, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    type: fc.constant('preempt' as const),
    plan: fc.array(amounts, { minLength: 1, maxLength: 2 }),
    victims: fc.array(pick, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    type: fc.constantFrom('commit' as const, 'cancel' as const, 'release' as const),
    which: pick,
  }),
  fc.record({ type: fc.constant('wait' as const), milliseconds: fc.integer({ min: 1, max: 60 }) }),
);

/** Nothing that is committed and reserved is more than there is, however it came about. */
function assertNotOversold(held: readonly PlannedInstance[]): void {
  for (const nodeId of nodes) {
    const here = held.filter((instance) => instance.nodeId === nodeId);
    const sum = (of: (instance: PlannedInstance) => number): number =>
      here.reduce((total, instance) => total + of(instance), 0);
    expect(sum(({ memoryBytes }) => memoryBytes)).toBeLessThanOrEqual(capacity.memoryBytes);
    expect(sum(({ cpuCores }) => cpuCores)).toBeLessThanOrEqual(capacity.cpuCores);
    for (const index of [0, 1]) {
      const shares = here.flatMap(({ gpus }) => gpus.filter((share) => share.index === index));
      const bytes = shares.reduce((total, share) => total + share.memoryBytes, 0);
      expect(bytes).toBeLessThanOrEqual(capacity.gpus[index]?.memoryBytes ?? 0);
      if (shares.some(({ exclusive }) => exclusive)) expect(shares).toHaveLength(1);
    }
  }
}

describe('under any interleaving', () => {
  it('reserving, preempting, committing, cancelling, expiring and releasing never oversell', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        let nowMs = 0;
        let next = 0;
        const ledger = createLedger(() => nowMs);
        ledger.setCluster(view().spec);
        /** Reservation → its instances, and those whose place it takes. */
        const open = new Map<string, { plan: PlannedInstance[]; victims: string[] }>();
        const committed = new Map<string, PlannedInstance>();
        const any = <T>(of: Iterable<T>, which: number): T | undefined => {
          const all = [...of];
          return all[which % Math.max(1, all.length)];
        };

        for (const each of commands) {
          try {
            if (each.type === 'wait') nowMs += each.milliseconds;
            else if (each.type === 'reserve' || each.type === 'preempt') {
              const plan = each.plan.map((amount) => ({ instanceId: `in-${next++}`, ...amount }));
              const victims =
                each.type === 'preempt'
                  ? [
                      ...new Set(
                        each.victims.flatMap((which) => any(committed.keys(), which) ?? []),
                      ),
                    ]
                  : [];
              const whole = { blockId: 'x', clusterId: 'c', score: 1, instances: plan };
              open.set(ledger.reserve(whole, 100, victims), { plan, victims });
            } else if (each.type === 'release') {
              const id = any(committed.keys(), each.which);
              if (id !== undefined) ledger.release(id);
              committed.delete(id ?? '');
            } else {
              const id = any(open.keys(), each.which) ?? '';
              if (each.type === 'cancel') ledger.cancel(id);
              else {
                ledger.commit(id);
                for (const instance of open.get(id)?.plan ?? []) {
                  committed.set(instance.instanceId, instance);
                }
              }
              open.delete(id);
            }
          } catch (fault) {
            expect(AiosError.from(fault).code).toBe('CAPACITY_LOST');
          }
          assertNotOversold([...committed.values()]);
          expect(new Set(ledger.entries().map(({ instanceId }) => instanceId))).toEqual(
            new Set(committed.keys()),
          );
        }

        for (const id of open.keys()) ledger.cancel(id);
        for (const id of committed.keys()) ledger.release(id);
        const gpus = capacity.gpus.map(({ memoryBytes }, index) => ({ index, memoryBytes }));
        for (const id of nodes) expect(ledger.free('c', id)).toEqual({ ...capacity, gpus });
      }),
      { numRuns: 400 },
    );
  });

  it('placements that run beside each other never oversell, wherever one comes between the questions of another', async () => {
    const host = testHost();
    const arrival = fc.record({
      memoryBytes: fc.integer({ min: 1, max: 6 }),
      instances: fc.integer({ min: 1, max: 3 }),
      gpu: fc.option(
        fc.record({ memoryBytes: fc.integer({ min: 1, max: 8 }), exclusive: fc.boolean() }),
      ),
      fate: fc.constantFrom('commit', 'cancel', 'release'),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(arrival, { minLength: 2, maxLength: 8 }),
        async (scheduler, arrivals) => {
          const clusters = [view()];
          // Every question to a policy is a point where another placement may come between.
          const evaluate = scheduler.scheduleFunction(
            (request: Parameters<typeof host.evaluate>[0]) => host.evaluate(request),
          ) as typeof host.evaluate;
          const placement = createPlacement({
            host: { ...host, evaluate },
            inventory: () => ({ clusters, revision: 1 }),
          });
          const ledger = placement.ledgerOf('default');
          ledger.setCluster(clusters[0]?.spec ?? view().spec);

          const all = arrivals.map(async ({ memoryBytes, instances, gpu: wanted, fate }, at) => {
            const resources = { memoryBytes, cpuCores: 0.5, gpus: wanted ? [wanted] : [] };
            const { decision, reservationId } = await placement.place(
              request(`b${at}`, resources, { instances }),
              { reserve: true },
            );
            if (reservationId === undefined) return;
            if (fate === 'cancel') {
              ledger.cancel(reservationId);
              return;
            }
            ledger.commit(reservationId);
            assertNotOversold(ledger.entries());
            const [first] = decision.plan?.instances ?? [];
            if (fate === 'release') ledger.release(first?.instanceId ?? '');
          });
          await scheduler.waitFor(Promise.all(all));
          assertNotOversold(ledger.entries());
        },
      ),
      { numRuns: 60 },
    );
    await host.close();
  });
});
