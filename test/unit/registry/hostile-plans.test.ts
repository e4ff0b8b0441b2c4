import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { planFiles } from '../../../cli/plan-files.ts';
import { builtinPolicies } from '../../../policies/index.ts';
import { createPolicyHost } from '../../../runtime/policy/index.ts';
import { createRegistry, createSerial } from '../../../runtime/registry/index.ts';
import { createMemoryStore } from '../../../runtime/store/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { readPlan } from '../../../sdk/spec/index.ts';
import { writeTestModel } from '../../support/checkpoint.ts';
import { split } from '../model-split/workspace.ts';

const tenant = 'default';

/** A plan as `plan.json` holds it, and the hashes of its files. */
async function realPlan() {
  const folder = await mkdtemp(join(tmpdir(), 'aios-plans-'));
  const model = await writeTestModel(join(folder, 'model'));
  const plan = JSON.parse(
    JSON.stringify(await split(model.folder, join(folder, 'out'), { shards: 3 })),
  );
  const hashes = planFiles('/plan', readPlan(plan)).map(({ hash }) => hash);
  await rm(folder, { recursive: true, force: true });
  return { plan, hashes: new Set(hashes) };
}
let text = '';
let hashes = new Set<string>();
beforeAll(async () => {
  const { plan, hashes: known } = await realPlan();
  text = JSON.stringify(plan);
  hashes = known;
});

function registryOf() {
  const store = createMemoryStore();
  const registry = createRegistry({
    store,
    exclusive: createSerial(),
    artifacts: { has: async (hash) => hashes.has(hash) },
    policies: createPolicyHost({ builtins: builtinPolicies, store, loadArtifact: async () => '' }),
    checkCluster: async () => [],
    isBuiltInPolicy: async () => false,
  });
  return { store, registry };
}

interface Place {
  readonly parent: Record<string, unknown>;
  readonly key: string;
}

/** Every value of a document, by where it stands. */
function placesOf(value: unknown): Place[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.keys(value).flatMap((key) => {
    const parent = value as Record<string, unknown>;
    return [{ parent, key }, ...placesOf(parent[key])];
  });
}

const hostile = fc.oneof(
  fc.constantFrom<unknown>(
    ...[null, true, '', '.', '..', '../../etc/passwd', '/etc/passwd', 'a/b', 'a\\b', 'x\0y', '~'],
    ...[-1, 0, 0.5, 1e308, Number.MAX_SAFE_INTEGER, 4294967296, 1_000_000_000],
    ...[[], {}, [[]], { a: 1 }, `sha256:${'0'.repeat(64)}`, 'sha256:../x', 'shard-0', 'shard-9'],
    ...['x'.repeat(5000), JSON.parse('{"__proto__": {"a": 1}}')],
  ),
  fc.jsonValue({ maxDepth: 2 }),
);
type Change = (document: unknown) => void;
const change: fc.Arbitrary<Change> = fc
  .tuple(
    fc.nat(),
    fc.oneof(
      hostile.map((value) => ({ value })),
      fc.constantFrom('drop', 'twice'),
    ),
    fc.nat(),
  )
  .map(([where, what, other]) => (document) => {
    const places = placesOf(document);
    const { parent, key } = places[where % places.length] as Place;
    if (typeof what === 'object') parent[key] = structuredClone(what.value);
    else if (what === 'drop') delete parent[key];
    // Exchanged with another value: hashes of other shards, labels of other nodes.
    else {
      const from = places[other % places.length] as Place;
      parent[key] = structuredClone(from.parent[from.key]);
    }
  });

describe('an edited plan.json', () => {
  test('as it was written is created', async () => {
    const { registry } = registryOf();

    expect((await registry.createPlan(tenant, JSON.parse(text))).blocks).toHaveLength(3);
  });

  test('is created whole or refused with what is wrong, and never leads out of its folder', async () => {
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const document = JSON.parse(text);
        for (const apply of changes) apply(document);
        const { store, registry } = registryOf();

        const fault = await registry.createPlan(tenant, document).then(
          () => undefined,
          (error) => AiosError.from(error),
        );

        seen.set(fault?.code ?? 'created', (seen.get(fault?.code ?? 'created') ?? 0) + 1);
        if (!fault) {
          for (const { path } of planFiles('/plan', readPlan(document))) {
            expect(relative('/plan', path)).not.toMatch(/^(\.\.|\/)/);
          }
          return;
        }
        expect([fault.code, fault.message]).not.toContain('INTERNAL');
        expect(fault.message.length).toBeLessThan(20_000);
        expect(await store.revision()).toBe(0);
      }),
      { numRuns: 400 },
    );
    expect([...seen.keys()].sort()).toEqual(expect.arrayContaining(['SPEC_INVALID', 'created']));
  });

  const edited = async (edit: (plan: never) => void): Promise<AiosError> => {
    const document = JSON.parse(text);
    edit(document as never);
    const { registry } = registryOf();
    return registry.createPlan(tenant, document).then(
      () => {
        throw new Error('it was created');
      },
      (error) => AiosError.from(error),
    );
  };
  interface Plan {
    shards: { folder: string }[];
    components: { stage: Record<string, unknown> & { files: { name: string; hash: string }[] } }[];
    blocks: Record<string, unknown>[];
    vdag: {
      nodes: Record<string, unknown>[];
      edges: { from: string; to: string }[];
      generation: { stages: string[] };
    };
  }

  test.each<[string, (plan: Plan) => void, RegExp]>([
    [
      'names a folder above',
      ({ shards }) => {
        shards[0]!.folder = '..';
      },
      /shards\[0\]\.folder/,
    ],
    [
      'names an absolute folder',
      ({ shards }) => {
        shards[0]!.folder = '/etc';
      },
      /shards\[0\]\.folder/,
    ],
    [
      'names a file above',
      ({ components }) => {
        components[0]!.stage.files[0]!.name = '../x';
      },
      /files\[0\]\.name/,
    ],
    [
      'names a hash that nobody has',
      ({ components }) => {
        components[1]!.stage.files[0]!.hash = `sha256:${'0'.repeat(64)}`;
      },
      /files\[0\]\.hash/,
    ],
    [
      'has layers beyond counting',
      ({ components }) => {
        components[0]!.stage.lastLayer = 1e15;
      },
      /lastLayer/,
    ],
    [
      'has sessions beyond counting',
      ({ components }) => {
        components[0]!.stage.maxSessions = 1e9;
      },
      /maxSessions/,
    ],
    [
      'has a context below zero',
      ({ components }) => {
        components[0]!.stage.contextTokens = -1;
      },
      /contextTokens/,
    ],
    [
      'goes in a circle',
      ({ vdag }) => {
        vdag.edges.push({ from: 'shard-2', to: 'shard-0' });
      },
      /circle|cycle|edges/i,
    ],
    [
      'goes to a node that is not there',
      ({ vdag }) => {
        vdag.edges[0]!.to = 'shard-9';
      },
      /edges\[0\]/,
    ],
    [
      'names a block that is not there',
      ({ vdag }) => {
        vdag.nodes[0]!.blockId = 'none';
      },
      /nodes\[0\]/,
    ],
    [
      'takes a shard twice',
      ({ vdag }) => {
        vdag.generation.stages[1] = 'shard-0';
      },
      /stages\[1\]/,
    ],
    [
      'takes its shards in another order',
      ({ vdag }) => {
        vdag.generation.stages.reverse();
      },
      /stages\[0\]/,
    ],
    [
      'names a graph that is not among the files',
      ({ components }) => {
        components[0]!.stage.graph = 'other.onnx';
      },
      /graph/,
    ],
    [
      'names one file twice',
      ({ components }) => {
        components[0]!.stage.files.push({ ...components[0]!.stage.files[0]! });
      },
      /files/,
    ],
  ])('that %s is refused', async (_, edit, place) => {
    const fault = await edited(edit as never);

    expect(['SPEC_INVALID', 'VDAG_CYCLE']).toContain(fault.code);
    expect(`${fault.message} ${JSON.stringify(fault.problems)}`).toMatch(place);
  });
});
