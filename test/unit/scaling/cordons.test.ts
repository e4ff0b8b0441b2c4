import { beforeEach, expect, test } from 'vitest';
import { openCordons } from '../../../runtime/scaling/index.ts';
import { createMemoryStore, type Store } from '../../../runtime/store/index.ts';

let store: Store;
let told: string[];
beforeEach(async () => {
  store = createMemoryStore();
  told = [];
  for (const tenant of ['default', 'other']) await putCluster(tenant, ['n1', 'n2']);
});

const putCluster = (tenant: string, ids: readonly string[]) =>
  store.commit([
    {
      ...{ tenant, kind: 'cluster' as const, id: 'c', type: 'put' as const },
      value: { id: 'c', nodes: ids.map((id) => ({ id })) },
    },
  ]);
const open = (on: Store = store) =>
  openCordons({
    ...{ store: on, exclusive: (task) => task(), log: () => undefined },
    inventory: {
      cordon: (tenant, id, nodeIds) => told.push(`${tenant} ${id}: ${nodeIds.join(' ')}`),
    },
  });
const names = (cordons: Awaited<ReturnType<typeof open>>, tenant = 'default') =>
  cordons.of(tenant, 'c').map(({ nodeId, by }) => `${nodeId} ${by}`);

test('each says its own; whoever lifts one lifts it whoever said it, and tenants do not meet', async () => {
  const cordons = await open();
  await cordons.add('default', 'c', 'n1', 'why');
  await cordons.said('default', 'c', ['n1', 'n2', 'n1', 'gone']);
  expect(names(cordons)).toEqual(['n1 operator', 'n1 stabilityChecker', 'n2 stabilityChecker']);
  expect(names(cordons, 'other')).toEqual([]);
  expect(told.at(-1)).toBe('default c: n1 n2');
  const [, , since] = cordons.of('default', 'c');
  await cordons.said('default', 'c', ['n2']);
  expect(cordons.of('default', 'c')[1]).toEqual(since);

  expect(await cordons.lift('default', 'c', 'n1')).toBe(true);
  expect(await cordons.lift('default', 'c', 'n1')).toBe(false);
  await cordons.said('default', 'c', []);
  expect(await store.get({ tenant: 'default', kind: 'cordon', id: 'c' })).toBeUndefined();
  expect(told.at(-1)).toBe('default c: ');
  await expect(cordons.add('default', 'none', 'n1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('what another wrote in between stays', async () => {
  const other = await open();
  let between: (() => Promise<unknown>) | undefined = () => other.add('default', 'c', 'n2');
  const cordons = await open({
    ...store,
    async commit(operations) {
      const first = between;
      between = undefined;
      await first?.();
      return store.commit(operations);
    },
  });
  await cordons.add('default', 'c', 'n1');

  expect(names(cordons)).toEqual(['n2 operator', 'n1 operator']);
  expect(names(other)).toEqual(names(cordons));
});

test('is read again at the start, without what is no more', async () => {
  const before = await open();
  await before.add('default', 'c', 'n1');
  await before.add('default', 'c', 'n2');
  await before.add('other', 'c', 'n2');
  await before.close();
  await putCluster('default', ['n2', 'n3']);
  await store.commit([{ tenant: 'other', kind: 'cluster', id: 'c', type: 'delete' }]);

  const cordons = await open();
  expect(names(cordons)).toEqual(['n2 operator']);
  expect(names(cordons, 'other')).toEqual([]);
  expect(await store.list('other', 'cordon')).toEqual([]);
});
