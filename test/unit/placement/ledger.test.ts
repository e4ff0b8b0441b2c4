import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLedger } from '../../../runtime/placement/index.ts';
import type { PlannedInstance } from '../../../sdk/client/api.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { clusterSpec } from '../../../sdk/spec/cluster.ts';

const cluster = (memoryBytes = 10, cpuCores = 1) =>
  clusterSpec.parse({
    id: 'c',
    nodes: ['a', 'b'].map((id) => ({
      id,
      memoryBytes,
      cpuCores,
      gpus: [{ memoryBytes: 8 }, { memoryBytes: 4 }],
    })),
  });

const instance = (instanceId: string, more: Partial<PlannedInstance> = {}): PlannedInstance => ({
  ...{ instanceId, nodeId: 'a', memoryBytes: 4, cpuCores: 0.1, gpus: [] },
  ...more,
});

const plan = (...instances: PlannedInstance[]) => ({
  ...{ blockId: 'x', clusterId: 'c', score: 1 },
  instances,
});

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'none';
  } catch (fault) {
    return AiosError.from(fault).code;
  }
};

function setup() {
  let nowMs = 0;
  const ledger = createLedger(() => nowMs);
  ledger.setCluster(cluster());
  return {
    ledger,
    wait: (milliseconds: number) => {
      nowMs += milliseconds;
    },
  };
}

describe('the ledger', () => {
  it('takes all instances of a plan or none', () => {
    const { ledger } = setup();

    const code = codeOf(() =>
      ledger.reserve(plan(instance('1'), instance('2'), instance('3')), 1000),
    );

    expect(code).toBe('CAPACITY_LOST');
    expect(ledger.free('c', 'a').memoryBytes).toBe(10);
  });

  it('gives a reservation back when it expires, and then refuses to commit it', () => {
    const { ledger, wait } = setup();
    const id = ledger.reserve(plan(instance('1')), 1000);
    expect(ledger.free('c', 'a').memoryBytes).toBe(6);

    wait(1000);

    expect(ledger.free('c', 'a').memoryBytes).toBe(10);
    expect(codeOf(() => ledger.commit(id))).toBe('CAPACITY_LOST');
    expect(ledger.entries()).toEqual([]);
  });

  it('keeps a committed entry until it is released', () => {
    const { ledger, wait } = setup();
    ledger.commit(ledger.reserve(plan(instance('1')), 1000));
    wait(5000);
    expect(ledger.free('c', 'a').memoryBytes).toBe(6);

    ledger.release('1');
    ledger.release('1');

    expect(ledger.free('c', 'a').memoryBytes).toBe(10);
  });

  it('adds tenths of cores up without drifting', () => {
    const { ledger } = setup();
    for (let at = 0; at < 10; at += 1) {
      ledger.commit(ledger.reserve(plan(instance(`${at}`, { memoryBytes: 0 })), 1000));
    }

    expect(ledger.free('c', 'a').cpuCores).toBe(0);
    expect(codeOf(() => ledger.reserve(plan(instance('x', { memoryBytes: 0 })), 1))).toBe(
      'CAPACITY_LOST',
    );
    for (let at = 0; at < 10; at += 1) ledger.release(`${at}`);
    expect(ledger.free('c', 'a').cpuCores).toBe(1);
  });

  it('shares a device by memory and gives an exclusive one to nobody else', () => {
    const { ledger } = setup();
    const share = (id: string, index: number, memoryBytes: number, exclusive = false) =>
      plan(instance(id, { memoryBytes: 0, gpus: [{ index, memoryBytes, exclusive }] }));
    ledger.reserve(share('1', 0, 5), 1000);
    ledger.reserve(share('2', 0, 3), 1000);
    ledger.reserve(share('3', 1, 1, true), 1000);

    expect(codeOf(() => ledger.reserve(share('4', 0, 1), 1))).toBe('CAPACITY_LOST');
    expect(codeOf(() => ledger.reserve(share('4', 1, 1), 1))).toBe('CAPACITY_LOST');
    expect(codeOf(() => ledger.reserve(share('4', 2, 1), 1))).toBe('CAPACITY_LOST');
    expect(ledger.free('c', 'a').gpus.map(({ memoryBytes }) => memoryBytes)).toEqual([0, 0]);
  });

  it('promises nothing more on a node that shrank, and is never negative', () => {
    const { ledger } = setup();
    ledger.commit(ledger.reserve(plan(instance('1', { memoryBytes: 8 })), 1000));

    ledger.setCluster(cluster(5));

    expect(ledger.free('c', 'a').memoryBytes).toBe(0);
    expect(codeOf(() => ledger.reserve(plan(instance('2', { memoryBytes: 1 })), 1))).toBe(
      'CAPACITY_LOST',
    );
    ledger.release('1');
    expect(ledger.free('c', 'a').memoryBytes).toBe(5);
  });

  it('remembers promises of a cluster that is declared after them or again', () => {
    const ledger = createLedger();
    ledger.restore('x', 'c', [instance('1')]);
    ledger.setCluster(cluster());
    expect(ledger.free('c', 'a').memoryBytes).toBe(6);

    ledger.removeCluster('c');
    expect(ledger.free('c', 'a').memoryBytes).toBe(0);
    ledger.setCluster(cluster());

    expect(ledger.free('c', 'a').memoryBytes).toBe(6);
    expect(ledger.entries()).toMatchObject([{ instanceId: '1', blockId: 'x', clusterId: 'c' }]);
  });

  it('gives an instance one place only', () => {
    const { ledger } = setup();
    ledger.reserve(plan(instance('1')), 1000);

    expect(codeOf(() => ledger.reserve(plan(instance('1', { nodeId: 'b' })), 1000))).toBe(
      'ALREADY_EXISTS',
    );
    expect(
      codeOf(() => ledger.reserve(plan(instance('2', { memoryBytes: 1 }), instance('2')), 1000)),
    ).toBe('ALREADY_EXISTS');
  });

  it('equals what is held, and oversells nothing, after any sequence of commands', () => {
    const planned = fc.record({
      nodeId: fc.constantFrom('a', 'b'),
      memoryBytes: fc.integer({ min: 0, max: 6 }),
      cpuCores: fc.integer({ min: 0, max: 6 }).map((tenths) => tenths / 10),
      gpus: fc.uniqueArray(
        fc.record({
          index: fc.integer({ min: 0, max: 1 }),
          memoryBytes: fc.integer({ min: 0, max: 5 }),
          exclusive: fc.boolean(),
        }),
        { selector: ({ index }) => index, maxLength: 2 },
      ),
    });
    const command = fc.oneof(
      fc.record({
        type: fc.constant('reserve' as const),
        plan: fc.array(planned, { minLength: 1, maxLength: 3 }),
        ttl: fc.integer({ min: 1, max: 5 }),
      }),
      fc.record({ type: fc.constant('commit' as const), which: fc.nat(30) }),
      fc.record({ type: fc.constant('cancel' as const), which: fc.nat(30) }),
      fc.record({ type: fc.constant('release' as const), which: fc.nat(60) }),
      fc.record({ type: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 3 }) }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
        const { ledger, wait } = setup();
        const reservations: string[] = [];
        let made = 0;
        for (const each of commands) {
          if (each.type === 'reserve') {
            const instances = each.plan.map((one) => instance(`i${made++}`, one));
            codeOf(() => reservations.push(ledger.reserve(plan(...instances), each.ttl)));
          } else if (each.type === 'commit') {
            codeOf(() => ledger.commit(reservations[each.which] ?? ''));
          } else if (each.type === 'cancel') ledger.cancel(reservations[each.which] ?? '');
          else if (each.type === 'release') ledger.release(`i${each.which}`);
          else wait(each.ms);

          for (const nodeId of ['a', 'b']) {
            const held = ledger.entries().filter((entry) => entry.nodeId === nodeId);
            const free = ledger.free('c', nodeId);
            const promised = held.reduce((sum, entry) => sum + entry.memoryBytes, 0);
            expect(free.memoryBytes).toBeGreaterThanOrEqual(0);
            expect(promised + free.memoryBytes).toBeLessThanOrEqual(10);
            for (const [index, size] of [8, 4].entries()) {
              const shares = held.flatMap((entry) =>
                entry.gpus.filter((gpu) => gpu.index === index),
              );
              const used = shares.reduce((sum, gpu) => sum + gpu.memoryBytes, 0);
              expect(used).toBeLessThanOrEqual(size);
              if (shares.some((gpu) => gpu.exclusive)) expect(shares).toHaveLength(1);
            }
          }
        }
        wait(1000);
        for (const { instanceId } of ledger.entries()) ledger.release(instanceId);
        for (const nodeId of ['a', 'b']) {
          expect(ledger.free('c', nodeId)).toEqual({
            memoryBytes: 10,
            cpuCores: 1,
            gpus: [
              { index: 0, memoryBytes: 8 },
              { index: 1, memoryBytes: 4 },
            ],
          });
        }
      }),
      { numRuns: 300 },
    );
  });
});
