import { expect, test } from 'vitest';
import { openDecisionLog } from '../../../runtime/decision/index.ts';
import { createMemoryStore } from '../../../runtime/store/index.ts';
import type { Decision } from '../../../sdk/client/api.ts';

const decision = (n: number, blockId: string): Decision => ({
  id: `d${n}`,
  tenant: 'default',
  blockId,
  reason: 'create',
  outcome: 'placed',
  message: '',
  candidates: [],
  evaluations: [],
  atMs: n,
  durationMs: 0,
});

test('the newest twenty decisions of each block are kept, newest first, across restarts', async () => {
  const store = createMemoryStore();
  const decisions = await openDecisionLog({ store });
  for (let n = 0; n < 30; n += 1) decisions.record(decision(n, 'a'));
  decisions.record(decision(100, 'b'));
  await decisions.flush();

  for (const reader of [decisions, await openDecisionLog({ store })]) {
    const kept = await reader.ofBlock('default', 'a');
    expect(kept.map(({ atMs }) => atMs)).toEqual(Array.from({ length: 20 }, (_, n) => 29 - n));
    expect(await reader.ofBlock('default', 'b')).toHaveLength(1);
    expect(await reader.ofBlock('other', 'a')).toEqual([]);
  }
  expect(await store.list('default', 'decision')).toHaveLength(21);
});

test('a thousand decisions are kept in all', async () => {
  const store = createMemoryStore();
  const decisions = await openDecisionLog({ store });
  for (let n = 0; n < 1010; n += 1) decisions.record(decision(n, `b${n}`));
  await decisions.flush();

  expect(await store.list('default', 'decision')).toHaveLength(1000);
  expect(await decisions.ofBlock('default', 'b0')).toEqual([]);
  expect(await decisions.ofBlock('default', 'b1009')).toHaveLength(1);
});

test('why a block runs where it runs outlives any number of dry runs', async () => {
  const store = createMemoryStore();
  const decisions = await openDecisionLog({ store });
  await decisions.recordNow(decision(0, 'live'));
  for (let n = 1; n < 1010; n += 1) {
    const dryRun = { ...decision(n, `dry${n}`), outcome: 'dry-run' as const };
    decisions.record(dryRun);
  }
  await decisions.flush();

  for (const reader of [decisions, await openDecisionLog({ store })]) {
    expect(await reader.ofBlock('default', 'live')).toHaveLength(1);
  }
  expect(await store.list('default', 'decision')).toHaveLength(1000);
});
