import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import {
  type Change,
  createMemoryStore,
  createSqliteStore,
  type Operation,
  type Store,
} from '../../../runtime/store/index.ts';

const folders: string[] = [];
const stores: Store[] = [];

afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function sqlitePath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'aios-store-'));
  folders.push(folder);
  return join(folder, 'aios.db');
}

const implementations = [
  ['memory', () => createMemoryStore()],
  ['sqlite', () => createSqliteStore(sqlitePath())],
] as const;

const block = (id: string) => ({ tenant: 'default', kind: 'block', id }) as const;

describe.each(implementations)('a %s store', (_name, create) => {
  function open(): Store {
    const store = create();
    stores.push(store);
    return store;
  }

  test('gives back what was put, with its revision and times', async () => {
    const store = open();

    const revision = await store.commit([
      { ...block('a'), type: 'put', value: { n: [1, 'ü', null] } },
    ]);

    const document = await store.get(block('a'));
    expect(document).toMatchObject({ ...block('a'), value: { n: [1, 'ü', null] }, revision });
    expect(document?.createdAtMs).toBe(document?.updatedAtMs);
    expect(await store.revision()).toBe(revision);
  });

  test('keeps the creation time when a document is replaced', async () => {
    const store = open();
    await store.commit([{ ...block('a'), type: 'put', value: 1 }]);
    const first = await store.get(block('a'));

    await store.commit([{ ...block('a'), type: 'put', value: 2 }]);

    const second = await store.get(block('a'));
    expect(second).toMatchObject({ value: 2, createdAtMs: first?.createdAtMs });
    expect(second!.revision).toBeGreaterThan(first!.revision);
  });

  test('lists one kind of one tenant in id order', async () => {
    const store = open();
    await store.commit([
      { ...block('b'), type: 'put', value: 1 },
      { ...block('a'), type: 'put', value: 2 },
      { tenant: 'default', kind: 'vdag', id: 'c', type: 'put', value: 3 },
      { tenant: 'other', kind: 'block', id: 'd', type: 'put', value: 4 },
    ]);

    expect((await store.list('default', 'block')).map(({ id }) => id)).toEqual(['a', 'b']);
    expect(await store.tenants()).toEqual(['default', 'other']);
  });

  test('refuses a whole commit when one precondition fails, and says which', async () => {
    const store = open();
    const revision = await store.commit([{ ...block('a'), type: 'put', value: 1 }]);

    const failing: Operation[] = [
      { ...block('b'), type: 'put', value: 1 },
      { ...block('a'), type: 'put', value: 2, ifRevision: 0 },
    ];

    await expect(store.commit(failing)).rejects.toMatchObject({
      code: 'STORE_CONFLICT',
      details: { key: block('a'), expected: 0, actual: revision },
    });
    expect(await store.get(block('b'))).toBeUndefined();
    expect(await store.revision()).toBe(revision);
  });

  test('guards deletes with revisions too', async () => {
    const store = open();
    const revision = await store.commit([{ ...block('a'), type: 'put', value: 1 }]);

    await expect(
      store.commit([{ ...block('a'), type: 'delete', ifRevision: revision + 1 }]),
    ).rejects.toMatchObject({ code: 'STORE_CONFLICT' });
    await store.commit([{ ...block('a'), type: 'delete', ifRevision: revision }]);

    expect(await store.get(block('a'))).toBeUndefined();
  });

  test('refuses a commit that names one document twice', async () => {
    const store = open();

    await expect(
      store.commit([
        { ...block('a'), type: 'put', value: 1 },
        { ...block('a'), type: 'delete' },
      ]),
    ).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });

  test('lets exactly one of many racing creators win', async () => {
    const store = open();

    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, n) =>
        store.commit([{ ...block('a'), type: 'put', value: n, ifRevision: 0 }]),
      ),
    );

    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('tells watchers of their kinds, in commit order, also of commits made by watchers', async () => {
    const store = open();
    const seen: string[] = [];
    const note = (change: Change): void => {
      const { id } = change.type === 'put' ? change.document : change.key;
      seen.push(`${change.type} ${id}`);
      if (id === 'a' && change.type === 'put') {
        void store.commit([{ ...block('from-watcher'), type: 'put', value: 1 }]);
      }
    };
    const stop = store.watch(['block'], note);

    await store.commit([
      { ...block('a'), type: 'put', value: 1 },
      { tenant: 'default', kind: 'vdag', id: 'v', type: 'put', value: 1 },
    ]);
    await store.commit([
      { ...block('a'), type: 'delete' },
      { ...block('never-was'), type: 'delete' },
    ]);
    stop();
    await store.commit([{ ...block('b'), type: 'put', value: 1 }]);

    expect(seen).toEqual(['put a', 'put from-watcher', 'delete a']);
  });

  test('is not disturbed by a watcher that throws', async () => {
    const store = open();
    const warned = new Promise((resolve) => process.once('warning', resolve));
    const seen: number[] = [];
    store.watch(['block'], () => {
      throw new Error('the first watcher is broken');
    });
    store.watch(['block'], (change) =>
      seen.push(change.type === 'put' ? change.document.revision : 0),
    );

    const revision = await store.commit([{ ...block('a'), type: 'put', value: 1 }]);

    expect(seen).toEqual([revision]);
    await warned;
  });

  test('hands out copies: changing one changes nothing stored', async () => {
    const store = open();
    const value = { list: [1] };
    await store.commit([{ ...block('a'), type: 'put', value }]);
    value.list.push(2);

    const read = await store.get<typeof value>(block('a'));
    (read!.value as { list: number[] }).list.push(3);

    expect((await store.get(block('a')))?.value).toEqual({ list: [1] });
  });

  test('answers CLOSED after close, which may be called twice', async () => {
    const store = open();
    await store.close();
    await store.close();

    await expect(store.get(block('a'))).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(store.commit([])).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('behaves as a map under any sequence of commits', async () => {
    const id = fc.constantFrom('a', 'b', 'c');
    const operation = fc.record({
      type: fc.constantFrom('put', 'delete'),
      id,
      value: fc.jsonValue(),
      guard: fc.constantFrom('none', 'right', 'wrong'),
    });
    const commits = fc.array(fc.uniqueArray(operation, { selector: (o) => o.id, maxLength: 3 }), {
      maxLength: 12,
    });

    await fc.assert(
      fc.asyncProperty(commits, async (sequence) => {
        const store = create();
        const model = new Map<string, { value: unknown; revision: number }>();
        let newest = 0;
        for (const steps of sequence) {
          const operations = steps.map((step): Operation => {
            const current = model.get(step.id)?.revision ?? 0;
            const guard =
              step.guard === 'none'
                ? {}
                : { ifRevision: step.guard === 'right' ? current : current + 1 };
            return step.type === 'put'
              ? { ...block(step.id), type: 'put', value: step.value, ...guard }
              : { ...block(step.id), type: 'delete', ...guard };
          });
          const conflicts = steps.some(({ guard }) => guard === 'wrong');
          const result = await store.commit(operations).catch((error) => error.code);
          if (conflicts) {
            expect(result).toBe('STORE_CONFLICT');
          } else {
            if (steps.length > 0) expect(result).toBeGreaterThan(newest);
            newest = result;
            for (const step of steps) {
              if (step.type === 'put') model.set(step.id, { value: step.value, revision: newest });
              else model.delete(step.id);
            }
          }
          const listed = await store.list('default', 'block');
          expect(listed.map((document) => [document.id, document.revision])).toEqual(
            [...model]
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .map(([key, { revision }]) => [key, revision]),
          );
          for (const document of listed) {
            // Through JSON, as -0 becomes 0 there.
            const expected = JSON.parse(JSON.stringify(model.get(document.id)?.value));
            expect(document.value).toEqual(expected);
          }
        }
        await store.close();
      }),
      { numRuns: 40 },
    );
  });
});

describe('a sqlite store on disk', () => {
  test('keeps documents and revisions across close and open', async () => {
    const path = sqlitePath();
    const first = createSqliteStore(path);
    const revision = await first.commit([{ ...block('a'), type: 'put', value: 'kept' }]);
    await first.close();

    const second = createSqliteStore(path);
    stores.push(second);

    expect(await second.get(block('a'))).toMatchObject({ value: 'kept', revision });
    expect(await second.commit([{ ...block('b'), type: 'put', value: 1 }])).toBe(revision + 1);
  });
});
