import { beforeEach, describe, expect, test } from 'vitest';
import { builtinPolicies } from '../../../policies/index.ts';
import { createLayers, type Layers } from '../../../runtime/layer/index.ts';
import { createPolicyHost } from '../../../runtime/policy/index.ts';
import { createRegistry, createSerial, type Registry } from '../../../runtime/registry/index.ts';
import { layerLookup } from '../../../runtime/split-task/layer-lookup.ts';
import { createMemoryStore, type Store } from '../../../runtime/store/index.ts';
import type { BlockStatus } from '../../../sdk/client/api.ts';
import { AiosError } from '../../../sdk/errors.ts';

const tenant = 'default';
const hash = `sha256:${'a'.repeat(64)}`;
type More = Record<string, unknown>;

let store: Store;
let registry: Registry;
let layers: Layers;
beforeEach(() => {
  store = createMemoryStore();
  registry = createRegistry({
    store,
    exclusive: createSerial(),
    artifacts: { has: async () => true },
    policies: createPolicyHost({ builtins: builtinPolicies, store, loadArtifact: async () => '' }),
    checkCluster: async () => [],
    isBuiltInPolicy: async () => false,
  });
  layers = createLayers({
    store,
    documents: registry,
    blockStatus: async (_tenant, id) => {
      const { value: spec, revision } = await registry.require(tenant, 'block', id);
      return { spec, revision, state: 'pending', wantedInstances: 1, instances: [] } as BlockStatus;
    },
  });
});

const stage = (layer: number, count: number, more: More = {}) => ({
  ...{ stageHash: `sha256:${String(layer).repeat(64)}`, index: layer, count },
  ...{
    firstLayer: layer,
    lastLayer: layer,
    hasEmbedding: layer === 0,
    hasHead: layer === count - 1,
  },
  ...{ hiddenSize: 8, vocabularySize: 16, keyValueHeads: 1, headSize: 8 },
  ...{ contextTokens: 32, maxSessions: 4, graph: 'stage.onnx' },
  files: [{ name: 'stage.onnx', hash, sizeBytes: 7 }],
  ...more,
});

/** A model of one layer a shard. */
function planOf(
  name: string,
  count = 2,
  changes: { stage?: More; block?: More; generation?: More } = {},
) {
  const shards = Array.from({ length: count }, (_, index) => index);
  const uri = (index: number) => `model.${name}-${index}:1-a`;
  return {
    ...{
      version: 1,
      model: name,
      architecture: 'x',
      splitter: 'decoder',
      planner: 'p:1.0.0-stable',
    },
    ...{ contextTokens: 32, maxSessions: 4 },
    shards: shards.map((index) => ({
      ...{ index, folder: `shard-${index}`, firstLayer: index, lastLayer: index },
      ...{ hasEmbedding: index === 0, hasHead: index === count - 1 },
      ...{ fileBytes: 1, residentBytes: 1, kvBytes: 1 },
    })),
    components: shards.map((index) => ({
      ...{ uri: uri(index), componentType: 'model', name: `${name}-${index}` },
      ...{ version: '1', releaseTag: 'a', stage: stage(index, count, changes.stage) },
    })),
    blocks: shards.map((index) => ({
      ...{ id: `${name}-${index}`, componentUri: uri(index), minInstances: 1, maxInstances: 1 },
      ...{ resources: { memoryBytes: 1, cpuCores: 1 } },
      ...changes.block,
    })),
    vdag: {
      ...{ uri: `${name}:1-a`, name, version: '1', releaseTag: 'a' },
      nodes: shards.map((index) => ({ label: `shard-${index}`, blockId: `${name}-${index}` })),
      edges: shards.slice(1).map((index) => ({ from: `shard-${index - 1}`, to: `shard-${index}` })),
      generation: {
        ...{ files: [], contextTokens: 32, vocabularySize: 16, hiddenSize: 8, endTokenIds: [2] },
        stages: shards.map((index) => `shard-${index}`),
        ...changes.generation,
      },
    },
  };
}
const create = (...args: Parameters<typeof planOf>) => registry.createPlan(tenant, planOf(...args));
const blocks = async () => (await registry.list(tenant, 'block')).map(({ id }) => id);
const boundBy = async (uri: string) =>
  (await registry.require(tenant, 'vdag', uri)).value.nodes.map(({ blockId }) => blockId);

describe('a plan over layers that run', () => {
  test('refers to the blocks that run them, and creates none', async () => {
    await create('a');

    const created = await create('b');

    expect(created).toMatchObject({ blocks: [], components: [], sharedBlocks: ['a-0', 'a-1'] });
    expect(await blocks()).toEqual(['a-0', 'a-1']);
    expect(await boundBy('b:1-a')).toEqual(['a-0', 'a-1']);
  });

  test('is the same when it is given again, also when others run the layers by then', async () => {
    await create('a');
    const first = await create('b');
    await registry.createPlan(tenant, planOf('c'), { share: false });

    expect(await create('b')).toEqual(first);
    expect(await create('c')).toMatchObject({ blocks: ['c-0', 'c-1'] });
    expect((await create('d')).sharedBlocks).toEqual(['a-0', 'a-1']);
  });

  test('shares the shards it can, and creates the rest', async () => {
    await create('a', 3);

    expect(await create('b', 2)).toMatchObject({ blocks: ['b-1'], sharedBlocks: ['a-0'] });
  });

  test.each<[string, { stage?: More; block?: More }]>([
    ['needs room for more sessions', { stage: { maxSessions: 5 } }],
    ['is of another context', { stage: { contextTokens: 64 } }],
    ['is of other heads', { stage: { headSize: 16 } }],
    [
      'says it has the same hash, over other bytes',
      {
        stage: {
          files: [{ name: 'stage.onnx', hash: `sha256:${'b'.repeat(64)}`, sizeBytes: 7 }],
        },
      },
    ],
    ['wants more instances', { block: { minInstances: 2, maxInstances: 2 } }],
    ['wants more threads', { block: { threads: 2 } }],
    ['wants other settings', { block: { settings: { a: 1 } } }],
    ['goes before others', { block: { priority: 3 } }],
    [
      'has policies of its own',
      { block: { policies: { loadBalancer: { policyRuleURI: 'round-robin:1.0.0-stable' } } } },
    ],
  ])('keeps its own block where it %s', async (_, changes) => {
    await create('a');

    const created = await create('b', 2, changes);

    expect(created.sharedBlocks).toBeUndefined();
    expect(created.blocks).toEqual(['b-0', 'b-1']);
  });

  test('shares with what has more than it needs', async () => {
    await create('a', 2, { block: { minInstances: 2, maxInstances: 3, threads: 4 } });

    expect((await create('b', 2, { stage: { maxSessions: 2 } })).sharedBlocks).toEqual([
      ...['a-0', 'a-1'],
    ]);
  });

  test('does not share a block that is being deleted', async () => {
    await create('a');
    await registry.remove(tenant, 'vdag', 'a:1-a');
    await registry.remove(tenant, 'block', 'a-0', [
      { tenant, kind: 'block-deletion', id: 'a-0', type: 'put', value: {} },
    ]);

    expect(await create('b')).toMatchObject({ blocks: ['b-0'], sharedBlocks: ['a-1'] });
  });

  test('does not share with another tenant', async () => {
    await create('a');

    const created = await registry.createPlan('other', planOf('b'));

    expect(created.blocks).toEqual(['b-0', 'b-1']);
  });

  test('holds what it shares: neither block nor component can be deleted', async () => {
    await create('a');
    await create('b');
    await registry.remove(tenant, 'vdag', 'a:1-a');

    for (const [kind, id] of [
      ['block', 'a-0'],
      ['component', 'model.a-0:1-a'],
    ] as const) {
      await expect(registry.remove(tenant, kind, id)).rejects.toMatchObject({ code: 'IN_USE' });
    }
    await registry.remove(tenant, 'vdag', 'b:1-a');
    await registry.remove(tenant, 'block', 'a-0');
  });
});

describe('a row of shards is refused that', () => {
  const faultOf = async (changes: Parameters<typeof planOf>[2], edit?: (plan: never) => void) => {
    const plan = planOf('a', 3, changes);
    edit?.(plan as never);
    return registry.createPlan(tenant, plan).then(
      () => undefined,
      (error) => error.problems as { path: string; message: string }[],
    );
  };
  interface Plan {
    vdag: { generation: { stages: string[] } };
    components: { stage: More }[];
  }

  test('is in another order', async () => {
    const problems = await faultOf({}, ({ vdag }: Plan) => {
      vdag.generation.stages = ['shard-1', 'shard-0', 'shard-2'];
    });

    expect(problems?.map(({ path }) => path)).toContain('$.vdag.generation.stages[0]');
  });

  test('leaves a shard out', async () => {
    const problems = await faultOf({}, ({ vdag }: Plan) => {
      vdag.generation.stages = ['shard-0', 'shard-2'];
    });

    expect(problems?.[0]?.message).toContain('does not go on where the one before it ends');
  });

  test('has no end, or two', async () => {
    const none = await faultOf({}, ({ vdag }: Plan) => {
      vdag.generation.stages = ['shard-0', 'shard-1'];
    });
    expect(none?.[0]?.message).toContain('chooses no tokens');
  });

  test('is of two models', async () => {
    const problems = await faultOf({}, ({ components }: Plan) => {
      Object.assign(components[1]?.stage ?? {}, { hiddenSize: 9 });
    });

    expect(problems?.map(({ message }) => message).join()).toContain('its hiddenSize differs');
  });

  test('has less room than the vDAG promises', async () => {
    const problems = await faultOf({ generation: { contextTokens: 33 } });

    expect(problems?.[0]?.message).toContain('room for fewer tokens');
  });
});

describe('the registry of layers', () => {
  test('lists who runs a layer, and for whom', async () => {
    await create('a');
    await create('b');

    const [first, second] = await layers.list(tenant);

    expect(first).toEqual({
      ...{ hash: `sha256:${'0'.repeat(64)}`, kind: 'stage', layers: [0, 0], fileBytes: 7 },
      components: ['model.a-0:1-a'],
      blocks: [{ id: 'a-0', readyInstances: 0, wantedInstances: 1, memoryBytes: 1 }],
      vdags: ['a:1-a', 'b:1-a'],
    });
    expect(await layers.get(tenant, second?.hash ?? '')).toEqual(second);
  });

  test('keeps notes beside what runs', async () => {
    await create('a');
    const [layer] = await layers.list(tenant);

    await layers.register(tenant, { hash: layer?.hash, model: 'a', metadata: { k: 1 } });
    const noted = await layers.get(tenant, layer?.hash ?? '');
    await layers.forget(tenant, layer?.hash ?? '');

    expect(noted).toMatchObject({ kind: 'stage', noted: { model: 'a', metadata: { k: 1 } } });
    expect(await layers.list(tenant)).toEqual(await layers.list(tenant));
    await expect(layers.forget(tenant, layer?.hash ?? '')).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  test.each([
    [{}, 'SPEC_INVALID'],
    [{ hash: 'x' }, 'SPEC_INVALID'],
    [{ hash, path: '/etc' }, 'SPEC_INVALID'],
    [{ hash, metadata: { a: 'x'.repeat(70_000) } }, 'REQUEST_TOO_LARGE'],
  ])('refuses %o', async (document, code) => {
    await expect(layers.register(tenant, document)).rejects.toMatchObject({ code });
    expect(await layers.list(tenant)).toEqual([]);
  });
});

describe('a splitter’s look at the registry', () => {
  test('finds what runs, what is noted, and nothing of others or of what nobody knows', async () => {
    await create('a');
    const [layer] = await layers.list(tenant);
    const lookup = layerLookup(layers, tenant);

    expect(await lookup.find(layer?.hash ?? '')).toEqual(layer);
    await lookup.register({ hash, model: 'mine' });
    expect(await lookup.find(hash)).toMatchObject({ kind: 'registered', noted: { model: 'mine' } });
    for (const unknown of [
      `sha256:${'b'.repeat(64)}`,
      'nonsense',
      '',
      '__proto__',
      'x'.repeat(1e6),
    ]) {
      expect(await lookup.find(unknown)).toBeUndefined();
    }
    expect(await layerLookup(layers, 'another').find(hash)).toBeUndefined();
  });

  test('tells what goes wrong, other than that there is nothing', async () => {
    const broken = new AiosError('STORE_UNAVAILABLE', 'the disk is full.');
    const lookup = layerLookup(
      { get: () => Promise.reject(broken), register: () => Promise.reject(broken) },
      tenant,
    );

    await expect(lookup.find(hash)).rejects.toBe(broken);
    await expect(lookup.register({ hash })).rejects.toBe(broken);
  });
});
