import { beforeEach, describe, expect, test } from 'vitest';
import { builtinPolicies } from '../../../policies/index.ts';
import { createPolicyHost } from '../../../runtime/policy/index.ts';
import {
  createRegistry,
  createSerial,
  type Registry,
  resolveVdag,
} from '../../../runtime/registry/index.ts';
import { createMemoryStore, type Store } from '../../../runtime/store/index.ts';

const tenant = 'default';
const hash = (digit: string): string => `sha256:${digit.repeat(64)}`;

let store: Store;
let uploaded: Set<string>;
let registry: Registry;
beforeEach(() => {
  store = createMemoryStore();
  uploaded = new Set([hash('a')]);
  registry = createRegistry({
    store,
    exclusive: createSerial(),
    artifacts: { has: async (wanted) => uploaded.has(wanted) },
    policies: createPolicyHost({ builtins: builtinPolicies, store, loadArtifact: async () => '' }),
    checkCluster: async () => [],
    isBuiltInPolicy: async (_tenant, uri) => builtinPolicies.some((policy) => policy.uri === uri),
  });
});

const component = (uri = 'test.ocr:1.0.0-stable', more: Record<string, unknown> = {}) => {
  const [typed = '', version = ''] = uri.split(':');
  const [componentType, name] = typed.split('.');
  const [number, releaseTag] = version.split('-');
  return {
    uri,
    componentType,
    name,
    version: number,
    releaseTag,
    artifact: { hash: hash('a') },
    ...more,
  };
};
const block = (id: string, more: Record<string, unknown> = {}) => ({
  id,
  componentUri: 'test.ocr:1.0.0-stable',
  minInstances: 1,
  maxInstances: 1,
  resources: { memoryBytes: '1Mi' },
  ...more,
});
const vdag = (uri: string, nodes: readonly unknown[], more: Record<string, unknown> = {}) => {
  const [name, version = ''] = uri.split(':');
  const [number, releaseTag] = version.split('-');
  return { uri, name, version: number, releaseTag, nodes, edges: [], ...more };
};
const create = (
  kind: 'component' | 'block' | 'vdag' | 'policy' | 'cluster',
  document: unknown,
  replace = false,
) => registry.create(tenant, kind, document, { replace });

test('a document is stored once, under its own name', async () => {
  const created = await create('component', component());

  expect(created).toMatchObject({ kind: 'component', id: 'test.ocr:1.0.0-stable', warnings: [] });
  await expect(create('component', component())).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  const replaced = await create('component', component(undefined, { tags: ['new'] }), true);
  expect(replaced.revision).toBeGreaterThan(created.revision);
  expect((await registry.require(tenant, 'component', created.id)).value.tags).toEqual(['new']);
});

test('of many that create the same, one wins', async () => {
  const results = await Promise.allSettled(
    Array.from({ length: 5 }, () => create('component', component())),
  );

  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('tenants do not see each other', async () => {
  await create('component', component());

  await expect(
    registry.require('other', 'component', 'test.ocr:1.0.0-stable'),
  ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(
    registry.create('other', 'block', block('b'), { replace: false }),
  ).rejects.toMatchObject({ code: 'SPEC_INVALID' });
});

test('everything that a document refers to and is missing is reported at once', async () => {
  const wrong = block('b', {
    componentUri: 'test.none:1.0.0-stable',
    policies: {
      loadBalancer: { policyRuleURI: 'round-robbin:1.0.0-stable' },
      resourceAllocator: { policyRuleURI: 'round-robin:1.0.0-stable' },
    },
  });

  const error = await create('block', wrong).catch((fault) => fault);

  expect(error).toMatchObject({ code: 'SPEC_INVALID' });
  expect(error.problems.map(({ path }: { path: string }) => path).sort()).toEqual([
    '$.componentUri',
    '$.policies.loadBalancer.policyRuleURI',
    '$.policies.resourceAllocator.policyRuleURI',
  ]);
  expect(await store.revision()).toBe(0);
});

test("problems are placed in the user's own document, also in the AIOS form", async () => {
  const document = {
    body: {
      spec: {
        values: {
          ...{ blockId: 'b', blockComponentURI: 'test.none:1.0.0-stable' },
          ...{ minInstances: 1, maxInstances: 1 },
          policies: { loadBalancer: { values: { policyRuleURI: 'none:1.0.0-stable' } } },
        },
      },
    },
  };

  const error = await create('block', document).catch((fault) => fault);

  const paths = error.problems.map(({ path }: { path: string }) => path);
  expect(
    paths.some((path: string) => path.startsWith('$.body.spec.values.policies.loadBalancer')),
  ).toBe(true);
  expect(paths.some((path: string) => path.endsWith('blockComponentURI'))).toBe(true);
});

test('a document that asks for a dry run is not created', async () => {
  await create('component', component());

  await expect(create('block', block('b', { mode: 'dry_run' }))).rejects.toMatchObject({
    code: 'SPEC_INVALID',
    problems: [{ path: '$.mode' }],
  });
  await create('block', block('b', { mode: 'allocate' }));
});

test('artifacts must be uploaded before a document names them', async () => {
  const stageless = component(undefined, { artifact: { hash: hash('b') } });

  await expect(create('component', stageless)).rejects.toMatchObject({
    code: 'SPEC_INVALID',
    problems: [{ path: '$.artifact.hash' }],
  });
  uploaded.add(hash('b'));
  await create('component', stageless);
});

test('a policy may not take the name of a built-in one', async () => {
  const uri = builtinPolicies[0].uri;
  const [name, version = ''] = uri.split(':');
  const [number, releaseTag] = version.split('-');
  const policy = {
    uri,
    name,
    version: number,
    releaseTag,
    hook: 'loadBalancer',
    artifact: { hash: hash('a') },
  };

  await expect(create('policy', policy)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
});

test('a published policy never changes, not after it was deleted either; one tagged dev may', async () => {
  const policy = (releaseTag: string, description: string) => ({
    uri: `mine:1.0.0-${releaseTag}`,
    ...{ name: 'mine', version: '1.0.0', releaseTag, hook: 'loadBalancer', description },
    artifact: { hash: hash('a') },
  });
  const published = { code: 'ALREADY_EXISTS', details: { publishedHash: hash('a') } };
  const replace = (document: unknown) =>
    registry.create('default', 'policy', document, { replace: true });

  await create('policy', policy('stable', 'first'));
  await create('policy', policy('stable', 'first'));
  await expect(create('policy', policy('stable', 'other'))).rejects.toMatchObject(published);
  await expect(replace(policy('stable', 'other'))).rejects.toMatchObject(published);
  await registry.remove('default', 'policy', 'mine:1.0.0-stable');
  await expect(create('policy', policy('stable', 'other'))).rejects.toMatchObject(published);
  await create('policy', policy('stable', 'first'));

  await create('policy', policy('dev', 'first'));
  await expect(create('policy', policy('dev', 'other'))).rejects.toMatchObject({
    message: expect.stringContaining('--replace'),
  });
  await replace(policy('dev', 'other'));
});

describe('what cannot run is accepted with a warning', () => {
  const pathsOf = ({ warnings }: { warnings: readonly { path: string }[] }) =>
    warnings.map(({ path }) => path);

  test('a component that is only a container, and a block of it', async () => {
    const image = component(undefined, { artifact: undefined, container: { image: 'ocr:1' } });

    expect(pathsOf(await create('component', image))).toEqual(['$.container']);
    expect(pathsOf(await create('block', block('ocr')))).toEqual(['$.componentUri']);
  });

  test('a block that states no amounts, itself or by its resource allocator', async () => {
    await create('component', component());
    const allocator = (parameters: Record<string, unknown>) => ({
      policies: { resourceAllocator: { policyRuleURI: 'bin-pack:1.0.0-stable', parameters } },
    });

    const silent = await create('block', block('a', { resources: undefined }));
    const vague = await create(
      'block',
      block('b', { resources: undefined, ...allocator({ min_memory_mb: 64 }) }),
    );
    const stated = await create(
      'block',
      block('c', { resources: undefined, ...allocator({ min_memory_mb: 64, cpus: 1 }) }),
    );

    expect(pathsOf(silent)).toEqual(['$.resources']);
    expect(vague.warnings).toMatchObject([{ message: expect.stringMatching(/\(cpus\)/) }]);
    expect(stated.warnings).toEqual([]);
  });
});

describe('a vDAG whose nodes do not fit together is accepted with a warning', () => {
  const object = (properties: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
    type: 'object',
    properties,
    required: Object.keys(properties),
    ...more,
  });
  const text = { type: 'string' };
  const count = { type: 'integer' };

  /** A block that takes and gives this. */
  async function declare(id: string, inputProtocol: unknown, outputProtocol: unknown) {
    const uri = `test.${id}:1.0.0-stable`;
    await create('component', component(uri, { inputProtocol, outputProtocol }));
    await create('block', block(id, { componentUri: uri }));
  }
  const join = (nodes: readonly string[], edges: readonly unknown[]) =>
    create(
      'vdag',
      vdag(
        'graph:1.0.0-stable',
        nodes.map((label) => ({ label, blockId: label })),
        { edges },
      ),
    );

  test('where a required key is missing or of another type', async () => {
    await declare('split', object({ text }), object({ words: text, total: count }));
    await declare('join', object({ words: { type: 'array' }, title: text }), object({ text }));

    const { warnings } = await join(['split', 'join'], [{ from: 'split', to: 'join' }]);

    expect(warnings).toMatchObject([
      { path: '$.edges[0]', message: expect.stringContaining("no 'title'") },
      { path: '$.edges[0]', message: expect.stringContaining("'words' of the output of 'split'") },
    ]);
  });

  test('where an edge names what the output lacks, or leaves out what is needed', async () => {
    await declare('split', object({ text }), object({ words: text, total: count }));
    await declare('join', object({ words: text }), object({ text }));
    const edge = { from: 'split', to: 'join', outputNames: ['total', 'sum'] };

    const { warnings } = await join(['split', 'join'], [edge]);

    expect(warnings).toMatchObject([
      { message: expect.stringContaining("no 'sum'") },
      { message: expect.stringContaining("no 'words'") },
    ]);
  });

  test('where several nodes meet: their outputs come by label', async () => {
    await declare('a', object({ text }), object({ text }));
    await declare('b', object({ text }), object({ total: count }));
    await declare('c', object({ a: object({ text }), total: count }), object({ text }));

    const edges = ['a', 'b'].map((from) => ({ from, to: 'c' }));
    const { warnings } = await join(['a', 'b', 'c'], edges);

    expect(warnings).toMatchObject([{ message: expect.stringContaining("no 'total'") }]);
  });

  test('and nothing is said where they fit, or where nobody can tell', async () => {
    await declare('a', object({ text }), object({ text, total: count, more: text }));
    await declare('b', object({ text, total: { type: 'number' } }), {
      type: 'object',
      properties: {},
      additionalProperties: {},
    });
    await declare('c', object({ anything: text }), {
      anyOf: [object({ text }), object({ count })],
    });
    await declare('d', object({ text }), undefined);
    await declare('e', object({ text }), object({ text }));

    const { warnings } = await join(
      ['a', 'b', 'c', 'd', 'e'],
      ['a', 'b', 'c', 'd'].map((from, n) => ({ from, to: 'bcde'[n] })),
    );

    expect(warnings).toEqual([]);
  });
});

describe('deleting', () => {
  const remove = (kind: Parameters<Registry['remove']>[1], id: string) =>
    registry.remove(tenant, kind, id);

  test('goes from the outside in: what is used stays', async () => {
    await create('component', component());
    await create('block', block('ocr'));
    await create('vdag', vdag('inner:1.0.0-stable', [{ label: 'a', blockId: 'ocr' }]));
    await create(
      'vdag',
      vdag('outer:1.0.0-stable', [{ label: 'a', vdagUri: 'inner:1.0.0-stable' }]),
    );

    for (const [kind, id, by] of [
      ['component', 'test.ocr:1.0.0-stable', "block 'ocr'"],
      ['block', 'ocr', "vdag 'inner:1.0.0-stable'"],
      ['vdag', 'inner:1.0.0-stable', "vdag 'outer:1.0.0-stable'"],
    ] as const) {
      await expect(remove(kind, id)).rejects.toMatchObject({
        code: 'IN_USE',
        details: { by: [by] },
      });
    }

    await remove('vdag', 'outer:1.0.0-stable');
    await remove('vdag', 'inner:1.0.0-stable');
    await remove('block', 'ocr');
    await remove('component', 'test.ocr:1.0.0-stable');
    await expect(remove('component', 'test.ocr:1.0.0-stable')).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  test('a policy stays while any document refers to it, also without its tag', async () => {
    const uri = 'mine:1.0.0-stable';
    const policy = {
      uri,
      name: 'mine',
      version: '1.0.0',
      releaseTag: 'stable',
      hook: 'loadBalancer',
      artifact: { hash: hash('a') },
    };
    await create('policy', policy);
    await create('component', component());
    await create(
      'block',
      block('ocr', { policies: { loadBalancer: { policyRuleURI: 'mine:1.0.0' } } }),
    );

    await expect(remove('policy', uri)).rejects.toMatchObject({ code: 'IN_USE' });
    await remove('block', 'ocr');
    await remove('policy', uri);
  });

  test('a cluster stays while instances run there', async () => {
    await create('cluster', { id: 'home', nodes: [{ id: 'n', memoryBytes: 1, cpuCores: 1 }] });
    const value = { clusterId: 'home', blockId: 'ocr' };
    await store.commit([{ tenant, kind: 'instance', id: 'ocr-1', type: 'put', value }]);

    await expect(remove('cluster', 'home')).rejects.toMatchObject({
      code: 'IN_USE',
      details: { by: ["block 'ocr'"] },
    });
  });

  test('nothing new may refer to a block that is being deleted', async () => {
    await create('component', component());
    await create('block', block('ocr'));
    const deletion = { tenant, kind: 'block-deletion', id: 'ocr', type: 'put', value: {} } as const;
    await registry.remove(tenant, 'block', 'ocr', [deletion]);

    await expect(
      create('vdag', vdag('v:1.0.0-stable', [{ label: 'a', blockId: 'ocr' }])),
    ).rejects.toMatchObject({
      code: 'SPEC_INVALID',
    });
  });
});

describe('a plan', () => {
  const plan = (more: Record<string, unknown> = {}) => ({
    version: 1,
    model: 'tiny',
    architecture: 'llama',
    splitter: 'checkpoint',
    planner: 'even:1.0.0-stable',
    contextTokens: 16,
    maxSessions: 1,
    shards: [0, 1].map((index) => ({
      ...{ index, folder: `stage-${index}`, firstLayer: index, lastLayer: index },
      ...{
        hasEmbedding: index === 0,
        hasHead: index === 1,
        fileBytes: 1,
        residentBytes: 1,
        kvBytes: 1,
      },
    })),
    components: [component('model.s0:1-a'), component('model.s1:1-a')],
    blocks: [
      block('s0', { componentUri: 'model.s0:1-a' }),
      block('s1', { componentUri: 'model.s1:1-a' }),
    ],
    vdag: vdag(
      'tiny:1-a',
      [
        { label: 'a', blockId: 's0' },
        { label: 'b', blockId: 's1' },
      ],
      { edges: [{ from: 'a', to: 'b' }] },
    ),
    ...more,
  });

  test('creates components, blocks and vDAG in one commit', async () => {
    const created = await registry.createPlan(tenant, plan());

    expect(created).toEqual({
      model: 'tiny:1-a',
      vdagUri: 'tiny:1-a',
      components: ['model.s0:1-a', 'model.s1:1-a'],
      blocks: ['s0', 's1'],
    });
    expect(await store.revision()).toBe(1);
  });

  test('may be created again, and shares what exists identically', async () => {
    await registry.createPlan(tenant, plan());
    await registry.createPlan(tenant, plan());
    await registry.createPlan(
      tenant,
      plan({ vdag: vdag('other:1-a', [{ label: 'a', blockId: 's0' }]) }),
    );

    expect((await registry.list(tenant, 'block')).map(({ id }) => id)).toEqual(['s0', 's1']);
    expect((await registry.list(tenant, 'vdag')).map(({ id }) => id)).toEqual([
      'other:1-a',
      'tiny:1-a',
    ]);
  });

  test('that differs from what exists changes nothing', async () => {
    await registry.createPlan(tenant, plan());
    const before = await store.revision();
    const blocks = [block('s0', { componentUri: 'model.s0:1-a', threads: 2 }), plan().blocks[1]];

    await expect(registry.createPlan(tenant, plan({ blocks }))).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      details: { kind: 'block', id: 's0' },
    });
    expect(await store.revision()).toBe(before);
  });

  test('lists every artifact that is missing, and stores nothing', async () => {
    const missing = (digit: string) => ({ artifact: { hash: hash(digit) } });
    const components = [
      component('model.s0:1-a', missing('b')),
      component('model.s1:1-a', missing('c')),
    ];

    const error = await registry.createPlan(tenant, plan({ components })).catch((fault) => fault);

    expect(error).toMatchObject({
      code: 'SPEC_INVALID',
      problems: [
        { path: '$.components[0].artifact.hash' },
        { path: '$.components[1].artifact.hash' },
      ],
    });
    expect(await store.revision()).toBe(0);
  });

  test('that names one block twice, differently, is refused', async () => {
    const blocks = [...plan().blocks, block('s0', { componentUri: 'model.s1:1-a' })];

    await expect(registry.createPlan(tenant, plan({ blocks }))).rejects.toMatchObject({
      code: 'SPEC_INVALID',
    });
    expect(await store.revision()).toBe(0);
  });
});

describe('a vDAG is found', () => {
  const declare = (uri: string) => create('vdag', vdag(uri, [{ label: 'a', blockId: 'ocr' }]));
  beforeEach(async () => {
    await create('component', component());
    await create('block', block('ocr'));
  });

  test('by URI, or by name and version while that is unique', async () => {
    await declare('chat:1.0.0-stable');

    for (const name of ['chat:1.0.0-stable', 'chat:1.0.0', 'chat']) {
      expect((await resolveVdag(registry, tenant, name)).uri).toBe('chat:1.0.0-stable');
    }
    await declare('chat:2.0.0-stable');
    await expect(resolveVdag(registry, tenant, 'chat')).rejects.toMatchObject({
      code: 'URI_AMBIGUOUS',
      details: { candidates: ['chat:1.0.0-stable', 'chat:2.0.0-stable'] },
    });
    expect((await resolveVdag(registry, tenant, 'chat:2.0.0')).uri).toBe('chat:2.0.0-stable');
    await expect(resolveVdag(registry, tenant, 'talk')).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
