import { linkSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  createArtifactStore,
  createArtifactUpkeep,
  type StoredArtifacts,
} from '../../../runtime/artifact/index.ts';
import { createSerial } from '../../../runtime/registry/index.ts';
import { createMemoryStore, type DocumentKind, type Store } from '../../../runtime/store/index.ts';
import { hashOf } from '../../integration/control/plane.ts';

const minuteMs = 60_000;
async function* chunks(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text);
}

/** A store of artifacts in a folder, with a clock of its own that runs ahead of that of the file system. */
async function openShelf(folder: string, store: Store) {
  const clock = { aheadMs: 0 };
  const now = () => Date.now() + clock.aheadMs;
  const exclusive = createSerial();
  const artifacts: StoredArtifacts = await createArtifactStore({
    ...{ dataDirectory: folder, store, now },
  });
  const upkeep = createArtifactUpkeep({ blobs: artifacts.blobs, store, exclusive, now });
  return { artifacts, upkeep, clock, exclusive };
}

let folder: string;
let store: Store;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aios-upkeep-'));
  store = createMemoryStore();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const put = (kind: DocumentKind, id: string, value: unknown, tenant = 'default') =>
  store.commit([{ tenant, kind, id, type: 'put', value }]);
const stored = (): readonly string[] =>
  readdirSync(join(folder, 'artifacts', 'sha256'))
    .map((name) => `sha256:${name}`)
    .sort();

test('a mention anywhere, of any tenant, keeps an artifact; the rest goes and gives its row back', async () => {
  const { artifacts, upkeep, clock } = await openShelf(folder, store);
  const [inText, inId, inDecision, unused] = ['a', 'b', 'c', 'dd'].map(hashOf) as [
    string,
    string,
    string,
    string,
  ];
  for (const text of ['a', 'b', 'c', 'dd']) await artifacts.write(hashOf(text), chunks(text));
  await put('policy-state', 's', { deep: [{ said: `it needs "${inText}", surely` }] }, 'another');
  await put('layer', inId, {});
  await put('decision-part', 'p', JSON.stringify({ hash: inDecision }));
  clock.aheadMs = 61 * minuteMs;

  expect(await upkeep.usage()).toEqual({
    stored: { artifacts: 4, sizeBytes: 5, sharedBytes: 0 },
    unmentioned: { artifacts: 1, sizeBytes: 2, sharedBytes: 0 },
    inHistoryOnly: 1,
  });
  const tried = await upkeep.prune({ dryRun: true });
  expect(stored()).toHaveLength(4);
  const pruned = await upkeep.prune();

  expect(pruned.removed).toEqual({ artifacts: 1, sizeBytes: 2, sharedBytes: 0 });
  expect(tried).toEqual({ ...pruned, dryRun: true });
  expect(stored()).toEqual([inText, inId, inDecision].sort());
  expect(await store.get({ tenant: 'default', kind: 'artifact', id: unused })).toBeUndefined();
  expect(await artifacts.has(unused)).toBe(false);
  await artifacts.write(unused, chunks('dd'));
  expect(await artifacts.has(unused)).toBe(true);
});

test('what is young stays: by the time of its file after a restart, by the last question before', async () => {
  const first = await openShelf(folder, store);
  await first.artifacts.write(hashOf('a'), chunks('a'));
  const again = await openShelf(folder, store);

  expect(await again.upkeep.prune()).toMatchObject({
    removed: { artifacts: 0 },
    recent: { artifacts: 1 },
  });
  again.clock.aheadMs = 61 * minuteMs;
  expect(await again.artifacts.has(hashOf('a'))).toBe(true);
  expect(await again.upkeep.prune({ olderThanMs: 0 })).toMatchObject({ recent: { artifacts: 1 } });
  again.clock.aheadMs += 2 * minuteMs;
  expect(await again.upkeep.prune()).toMatchObject({ recent: { artifacts: 1 } });

  expect(await again.upkeep.prune({ olderThanMs: minuteMs })).toMatchObject({
    removed: { artifacts: 1 },
    recent: { artifacts: 0 },
  });
});

test('a split that is not over keeps whatever came since it was asked for', async () => {
  const { artifacts, upkeep, clock } = await openShelf(folder, store);
  await put('split-task', 't', { task: { id: 't', state: 'running' }, request: {}, lines: [] });
  await artifacts.write(hashOf('shard'), chunks('shard'));
  clock.aheadMs = 24 * 60 * minuteMs;

  await upkeep.prune();
  expect(stored()).toHaveLength(1);

  const plan = { files: [hashOf('shard')] };
  await put('split-task', 't', { task: { id: 't', state: 'succeeded' }, plan });
  expect(await upkeep.prune()).toMatchObject({ removed: { artifacts: 0 }, inHistoryOnly: 1 });
  expect(stored()).toHaveLength(1);

  await put('split-task', 't', { task: { id: 't', state: 'failed' }, request: {}, lines: [] });
  await upkeep.prune();
  expect(stored()).toHaveLength(0);
});

test('the file that an artifact was linked from is left, and is said to hold its bytes', async () => {
  const { artifacts, upkeep, clock } = await openShelf(folder, store);
  const original = join(folder, 'model.safetensors');
  writeFileSync(original, 'weights');
  const { ticket, path } = await artifacts.openLink(7);
  linkSync(original, path);
  await artifacts.commitLink(ticket, hashOf('weights'));
  clock.aheadMs = 61 * minuteMs;

  const { removed } = await upkeep.prune();

  expect(removed).toEqual({ artifacts: 1, sizeBytes: 7, sharedBytes: 7 });
  expect(readdirSync(folder)).toContain('model.safetensors');
});

const texts = ['v', 'w', 'x', 'y', 'z'];
const kinds = ['component', 'vdag', 'policy', 'block', 'decision'] as const;
const step = fc.oneof(
  fc.record({ do: fc.constant('upload' as const), text: fc.constantFrom(...texts) }),
  fc.record({
    do: fc.constantFrom('create' as const, 'create while pruning' as const),
    kind: fc.constantFrom(...kinds),
    names: fc.subarray(texts, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ do: fc.constant('delete' as const), kind: fc.constantFrom(...kinds) }),
  fc.record({ do: fc.constant('wait' as const), minutes: fc.constantFrom(2, 30, 61) }),
  fc.record({ do: fc.constant('prune' as const), olderMinutes: fc.constantFrom(0, 5, 60) }),
  fc.record({ do: fc.constant('upload while pruning' as const), text: fc.constantFrom(...texts) }),
);

test('whatever came before, nothing mentioned is removed, and everything unmentioned and old is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      rmSync(join(folder, 'artifacts'), { recursive: true, force: true });
      store = createMemoryStore();
      const { artifacts, upkeep, clock, exclusive } = await openShelf(folder, store);
      const mentions = new Map<string, readonly string[]>();
      const usedAtMinute = new Map<string, number>();
      let minute = 0;

      const upload = async (text: string) => {
        await artifacts.write(hashOf(text), chunks(text));
        usedAtMinute.set(text, minute);
      };
      /** As a registry does: looked up and stored with no other change between. */
      const create = (kind: DocumentKind, names: readonly string[]) =>
        exclusive(async () => {
          for (const name of names) {
            if (!(await artifacts.has(hashOf(name)))) return;
            usedAtMinute.set(name, minute);
          }
          await put(kind, kind, { files: names.map((name) => ({ hash: hashOf(name) })) });
          mentions.set(kind, names);
        });
      const mentioned = () => new Set([...mentions.values()].flat());

      for (const one of steps) {
        if (one.do === 'upload') await upload(one.text);
        if (one.do === 'create') await create(one.kind, one.names);
        if (one.do === 'create while pruning') {
          await Promise.all([upkeep.prune({ olderThanMs: 0 }), create(one.kind, one.names)]);
        }
        if (one.do === 'upload while pruning') {
          await Promise.all([upkeep.prune({ olderThanMs: 0 }), upload(one.text)]);
          expect(stored()).toContain(hashOf(one.text));
        }
        if (one.do === 'delete') {
          await store.commit([{ tenant: 'default', kind: one.kind, id: one.kind, type: 'delete' }]);
          mentions.delete(one.kind);
        }
        if (one.do === 'wait') {
          minute += one.minutes;
          clock.aheadMs = minute * minuteMs;
        }
        if (one.do === 'prune') {
          await upkeep.prune({ olderThanMs: one.olderMinutes * minuteMs });
          const left = new Set(stored());
          for (const [text, at] of usedAtMinute) {
            // One asked for within the last minute stays, whatever age is given.
            const isOld = minute - at > Math.max(one.olderMinutes, 1);
            if (isOld && !mentioned().has(text)) expect(left).not.toContain(hashOf(text));
          }
        }
        const left = new Set(stored());
        for (const text of mentioned()) expect(left).toContain(hashOf(text));
      }
    }),
    { numRuns: 60 },
  );
});
