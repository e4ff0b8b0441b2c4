import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { openDecisionLog } from '../../../runtime/decision/index.ts';
import { deepFreeze } from '../../../runtime/policy/index.ts';
import { createMemoryStore, createSqliteStore, type Store } from '../../../runtime/store/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { exampleInputs } from '../../../sdk/hooks/examples.ts';
import { ask, type Bench, decide, openBench } from './support.ts';

const opened: Bench[] = [];
async function open(...args: Parameters<typeof openBench>): Promise<Bench> {
  const bench = await openBench(...args);
  opened.push(bench);
  return bench;
}
afterEach(async () => {
  for (const bench of opened.splice(0)) await bench.close();
});

const { dry_run: example } = exampleInputs.resourceAllocator;
const [exampleNode] = example.nodes;

/** A thousand nodes, the same objects but for one. */
const nodes = Array.from({ length: 1000 }, (_, at) => deepFreeze({ ...exampleNode, id: `n${at}` }));
const inputOf = (changed: number, free: number) => {
  const list = deepFreeze(
    nodes.map((node, at) => (at === changed ? deepFreeze({ ...node, instances: free }) : node)),
  );
  return { ...example, cluster: { ...example.cluster, nodes: list }, nodes: list };
};

async function evaluate({ host }: Bench, changed: number, free: number) {
  const { evaluation } = await host.evaluate({
    ...{ tenant: 'default', hook: 'resourceAllocator', action: 'dry_run' },
    ...{ useSite: 'block/b', inventoryRevision: 1 },
    input: inputOf(changed, free) as never,
  });
  return evaluation;
}

const partsOf = (store: Store) => store.list<string>('default', 'decision-part');

describe('what decisions were made on', () => {
  it('is written once: a decision over a thousand nodes of which one changed writes a few parts', async () => {
    const bench = await open();
    decide(bench.log, await evaluate(bench, -1, 0));
    await bench.log.flush();
    const before = await partsOf(bench.store);

    decide(bench.log, await evaluate(bench, 500, 7));
    decide(bench.log, await evaluate(bench, 500, 7));
    await bench.log.flush();

    const known = new Set(before.map(({ id }) => id));
    const added = (await partsOf(bench.store)).filter(({ id }) => !known.has(id));
    expect(added.length).toBeLessThanOrEqual(4);
    const characters = added.reduce((sum, { value }) => sum + value.length, 0);
    expect(characters).toBeLessThan(8000);
  });

  it('goes with the last decision that needs it', async () => {
    const bench = await open({ log: { retention: { perSubject: 2 } } });
    const first = await evaluate(bench, 1, 1);
    decide(bench.log, first);
    await bench.log.flush();
    const shared = (await partsOf(bench.store)).length;

    for (let at = 2; at < 8; at += 1) {
      decide(bench.log, await evaluate(bench, at, at));
      await bench.log.flush();
    }

    const decisions = await bench.log.list('default');
    expect(decisions).toHaveLength(2);
    for (const { id } of decisions) {
      await expect(bench.log.question('default', id, 0)).resolves.toBeDefined();
    }
    expect((await partsOf(bench.store)).length).toBeLessThanOrEqual(shared + 5);
  });

  it('is exactly what the kept decisions need, whatever is recorded, dropped and restarted', async () => {
    const step = fc.record({
      changed: fc.nat({ max: 3 }),
      free: fc.nat({ max: 2 }),
      subject: fc.constantFrom('block/a', 'block/b', 'cluster/c'),
      after: fc.constantFrom('nothing', 'flush', 'restart'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const bench = await openBench();
        const options = { store: bench.store, retention: { perSubject: 2, inAll: 4 } };
        await bench.log.close();
        let log = await openDecisionLog(options);
        for (const { changed, free, subject, after } of steps) {
          log.record({
            ...{ tenant: 'default', kind: 'scaling', subject, reason: 'watch', outcome: 'held' },
            ...{ message: '', evaluations: [await evaluate(bench, changed, free)] },
          });
          if (after === 'flush') await log.flush();
          if (after !== 'restart') continue;
          await log.close();
          log = await openDecisionLog(options);
        }
        const needed = new Set<string>();
        await log.flush();
        const stored = new Map((await partsOf(bench.store)).map(({ id, value }) => [id, value]));
        const visit = (text: string): void => {
          for (const [, key = ''] of text.matchAll(/\{"\$":"([\w-]{43})"\}/g)) {
            if (needed.has(key)) continue;
            needed.add(key);
            visit(stored.get(key) ?? '');
          }
        };
        type Stored = { recorded: readonly { input: string }[] };
        const decisions = await bench.store.list<Stored>('default', 'decision');
        for (const { value } of decisions) visit(value.recorded[0]?.input ?? '');
        for (const { id } of decisions) await log.question('default', id, 0);

        expect(decisions.length).toBeLessThanOrEqual(4);
        expect([...stored.keys()].sort()).toEqual([...needed].sort());
        await log.close();
        await bench.host.close();
      }),
      { numRuns: 12 },
    );
  });

  it('is not counted as stored when the commit failed', async () => {
    const inner = createMemoryStore();
    let fail = false;
    const store: Store = {
      ...inner,
      commit: async (operations) => {
        if (fail) throw new AiosError('STORE_UNAVAILABLE', 'the disk is full.');
        return inner.commit(operations);
      },
    };
    const bench = await open({ store });
    const evaluation = await evaluate(bench, 1, 1);
    const decision = {
      tenant: 'default',
      blockId: 'b',
      reason: 'create',
      outcome: 'placed',
    } as const;
    fail = true;
    await expect(
      bench.log.recordNow({ ...decision, message: '', evaluations: [evaluation] }),
    ).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    const waiting = decide(bench.log, evaluation);
    await expect(bench.log.flush()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    fail = false;

    await bench.log.flush();

    expect(await bench.log.list('default')).toMatchObject([{ id: waiting }]);
    await expect(bench.log.question('default', waiting, 0)).resolves.toMatchObject({ state: {} });
  });

  it('is there whole or not at all after a crash, with the documents it was committed with', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'aios-decisions-'));
    const path = join(folder, 'aios.db');
    try {
      const store = createSqliteStore(path);
      const bench = await openBench({ store, log: { writeDelayMs: 60_000 } });
      const key = { tenant: 'default', kind: 'instance', id: 'in-1' } as const;
      const placed = await bench.log.recordNow(
        {
          ...{ tenant: 'default', blockId: 'b', reason: 'create', outcome: 'placed', message: '' },
          evaluations: [await evaluate(bench, 1, 1)],
        },
        [{ ...key, type: 'put', value: {} }],
      );
      const lost = decide(bench.log, await evaluate(bench, 2, 2));
      // As a crash leaves it: nothing more is written.
      await store.close();

      const again = createSqliteStore(path);
      const after = await openBench({ store: again });
      expect(await again.get(key)).toBeDefined();
      expect(await after.replayer.replay('default', placed.id)).toMatchObject({ same: true });
      await expect(after.log.get('default', lost)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await after.close();
      await again.close();
      await bench.host.close();
      await bench.log.close().catch(() => undefined);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('that nobody needs is removed at the start', async () => {
    const store = createMemoryStore();
    await store.commit([
      { type: 'put', tenant: 'default', kind: 'decision-part', id: 'a', value: '{}' },
    ]);

    await open({ store });

    expect(await partsOf(store)).toEqual([]);
  });
});

describe('the log', () => {
  it('commits many decisions together', async () => {
    const bench = await open();
    const evaluation = await ask(bench.host, { hook: 'autoscaler', action: 'evaluate' });
    const before = await bench.store.revision();

    for (let at = 0; at < 250; at += 1) {
      bench.log.record({
        ...{ tenant: 'default', subject: `block/b${at}`, reason: 'watch', outcome: 'held' },
        ...{ kind: 'scaling', message: '', evaluations: [evaluation] },
      });
    }
    await bench.log.flush();

    expect((await bench.store.revision()) - before).toBe(3);
    expect(await bench.log.list('default', { limit: 500 })).toHaveLength(250);
  });

  it('finds decisions by what they are about', async () => {
    const { log } = await open();
    const plan = {
      ...{ blockId: 'a', clusterId: 'home', score: 1 },
      instances: [{ instanceId: 'a-1', nodeId: 'n', memoryBytes: 1, cpuCores: 1, gpus: [] }],
    };
    const base = { tenant: 'default', message: '', evaluations: [] } as const;
    log.record({ ...base, blockId: 'a', reason: 'create', outcome: 'placed', plan });
    log.record({
      ...base,
      kind: 'admission',
      subject: 'cluster/home',
      reason: 'request',
      outcome: 'refused',
    });
    log.record({
      ...base,
      kind: 'stability',
      subject: 'node/home/n',
      reason: 'watch',
      outcome: 'held',
    });
    log.record({
      ...base,
      kind: 'scaling',
      subject: 'block/a',
      reason: 'watch',
      outcome: 'changed',
    });
    const kinds = async (subject: string) =>
      (await log.of('default', subject)).map(({ kind }) => kind);

    expect(await kinds('block/a')).toEqual(['scaling', 'placement']);
    expect(await kinds('instance/a-1')).toEqual(['placement']);
    expect(await kinds('cluster/home')).toEqual(['stability', 'admission', 'placement']);
    expect(await kinds('block')).toEqual(['scaling', 'placement']);
    expect(await log.list('default', { outcome: 'refused' })).toMatchObject([
      { kind: 'admission', subject: 'cluster/home', blockId: '' },
    ]);
    expect(await log.list('other')).toEqual([]);
    expect(log.placed('default', 'a-1')).toBe(true);
    expect(log.placed('other', 'a-1')).toBe(false);
  });

  it('forgets by age, but not why a block runs where it runs', async () => {
    let now = 1000;
    const bench = await open({ log: { clock: () => now, retention: { maxAgeMs: 100 } } });
    const base = { tenant: 'default', message: '', evaluations: [], reason: 'create' } as const;
    bench.log.record({ ...base, blockId: 'a', outcome: 'placed' });
    bench.log.record({ ...base, blockId: 'b', outcome: 'refused' });
    now = 2000;
    await bench.log.flush();

    expect(await bench.log.list('default')).toMatchObject([{ blockId: 'a' }]);
  });
});
