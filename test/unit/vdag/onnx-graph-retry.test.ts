import { afterEach, expect, test } from 'vitest';
import { createGenerationDriver, createGraphRunner } from '../../../runtime/vdag/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { FakeShard } from './fake-shard.ts';
import { collect, FakeDirectory, resolverOf, tokenizerArtifacts } from './fake-system.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A directory that says of its instances whether packets may be sent to another. */
class SayingDirectory extends FakeDirectory {
  readonly repeatable: boolean;
  readonly avoided: (readonly string[])[] = [];

  constructor(repeatable: boolean) {
    super();
    this.repeatable = repeatable;
  }

  override async pick(request: { blockId: string; avoid?: ReadonlySet<string> }) {
    this.avoided.push([...(request.avoid ?? [])]);
    return { ...(await super.pick(request)), repeatable: this.repeatable };
  }
}

/** Instances of one block in the order in which they are picked; those in `lost` have ended without a word. */
async function start(repeatable: boolean, names: readonly string[], lost: readonly string[]) {
  const directory = new SayingDirectory(repeatable);
  const shards = new Map<string, FakeShard>();
  for (const name of names) {
    const shard = await new FakeShard('part', { tokens: [] }, name).start();
    shard.infer = async function* () {
      yield { by: name };
    };
    shards.set(name, shard);
    directory.add(shard);
    cleanups.push(() => shard.stop());
  }
  for (const name of lost) await shards.get(name)?.stop();
  const resolveVdag = resolverOf();
  const driver = createGenerationDriver({ resolveVdag, directory, artifacts: tokenizerArtifacts });
  const runner = createGraphRunner({ resolveVdag, directory, driver });
  cleanups.push(() => driver.close(), runner.close);
  const ask = async () => {
    const events = await collect(
      runner.invoke({
        ...{ tenant: 'default', target: { kind: 'block', id: 'part' }, data: {} },
        ...{ deadlineMs: Date.now() + 20_000, signal: new AbortController().signal },
      }),
    );
    return events.at(-1)?.data;
  };
  return { directory, shards, ask };
}

test('a packet that depends on nothing else goes to another instance when one is lost', async () => {
  const { directory, ask } = await start(true, ['a', 'b', 'c'], ['a', 'b']);

  expect(await ask()).toEqual({ by: 'c' });
  expect(directory.reported).toEqual(['a', 'b']);
  expect(directory.avoided).toEqual([[], ['a'], ['a', 'b']]);
  expect(directory.outstanding).toBe(0);
});

test('one that ended three instances goes to no fourth', async () => {
  const { directory, shards, ask } = await start(true, ['a', 'b', 'c', 'd'], ['a', 'b', 'c']);

  await expect(ask()).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
  expect(directory.picked).toBe(3);
  expect(shards.get('d')?.packets).toEqual([]);
});

test('one that may have done something is never sent twice', async () => {
  const { directory, shards, ask } = await start(false, ['a', 'b'], ['a']);

  await expect(ask()).rejects.toMatchObject({ code: 'SHARD_UNAVAILABLE' });
  expect(directory.picked).toBe(1);
  expect(shards.get('b')?.packets).toEqual([]);
});

test('what the graph itself says is final', async () => {
  const { directory, shards, ask } = await start(true, ['a', 'b'], []);
  const shard = shards.get('a');
  if (shard) {
    // biome-ignore lint/correctness/useYield: it only refuses
    shard.infer = async function* () {
      throw new AiosError('TENSOR_MISMATCH', 'no.');
    };
  }

  await expect(ask()).rejects.toMatchObject({ code: 'TENSOR_MISMATCH' });
  expect(directory.picked).toBe(1);
});
