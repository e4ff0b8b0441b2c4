import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import {
  createMemoryStore,
  createSqliteStore,
  type DocumentKey,
  type Store,
} from '../../../runtime/store/index.ts';

let folder = '';
let store: Store | undefined;
afterEach(async () => {
  await store?.close();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

function sqlite(): Store {
  folder = mkdtempSync(join(tmpdir(), 'aios-page-'));
  return createSqliteStore(join(folder, 'aios.db'));
}

describe.each([
  ['memory', createMemoryStore],
  ['sqlite', sqlite],
] as const)('pages of a %s store', (_name, create) => {
  async function pagesOf(opened: Store) {
    const pages: (readonly (DocumentKey & { readonly text: string })[])[] = [];
    for (let page = await opened.page(); page.length > 0; page = await opened.page(page.at(-1))) {
      pages.push(page);
    }
    return pages;
  }

  test('hold every document of every tenant and kind once', async () => {
    store = create();
    const keys = Array.from({ length: 700 }, (_, n) => ({
      tenant: `tenant-${n % 3}`,
      kind: n % 2 === 0 ? ('block' as const) : ('component' as const),
      id: `é-"${n}`,
    }));
    await store.commit(keys.map((key, value) => ({ ...key, type: 'put', value })));

    const pages = await pagesOf(store);

    expect(pages.length).toBeGreaterThan(2);
    const found = pages.flat().map(({ tenant, kind, id }) => `${tenant} ${kind} ${id}`);
    expect(found.toSorted()).toEqual(
      keys.map(({ tenant, kind, id }) => `${tenant} ${kind} ${id}`).toSorted(),
    );
  });

  test('are short where documents are long', async () => {
    store = create();
    const value = 'x'.repeat(3 * 2 ** 20);
    for (const id of ['a', 'b', 'c']) {
      await store.commit([{ tenant: 't', kind: 'block', id, type: 'put', value }]);
    }

    expect((await pagesOf(store)).map(({ length }) => length)).toEqual([1, 1, 1]);
  });

  test('of nothing are none', async () => {
    store = create();
    expect(await store.page()).toEqual([]);
  });
});
