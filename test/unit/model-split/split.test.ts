import {
  link,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { outlineModel, splitModel } from '../../../runtime/model/split.ts';
import { splitters } from '../../../runtime/model/splitters/index.ts';
import type { SplitPlan } from '../../../sdk/spec/plan.ts';
import { writeTestModel } from '../../support/checkpoint.ts';
import { readPlan } from './chained-stages.ts';
import { split, temporaryFolder } from './workspace.ts';

async function modelAndOut(options: Parameters<typeof writeTestModel>[1] = {}) {
  const folder = await temporaryFolder();
  const model = await writeTestModel(join(folder, 'Tiny.Test_1'), options);
  // Hashes of files written a moment ago are not kept.
  const hourAgo = Date.now() / 1000 - 3600;
  for (const name of await readdir(model.folder)) {
    await utimes(join(model.folder, name), hourAgo, hourAgo);
  }
  return { model, folder, out: join(folder, 'out') };
}

/** What a failed split leaves beside the model. */
const leftBy = async (folder: string) =>
  (await readdir(folder)).filter((name) => name !== 'Tiny.Test_1');

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe('a plan', () => {
  test('joins its documents by name', async () => {
    const { model, out } = await modelAndOut({ files: 2, dtype: 'BF16' });

    const plan = await split(model.folder, out, { shards: 3, planner: 'even:1.0.0-stable' });

    expect(await readPlan(out)).toEqual(plan);
    expect(plan).toMatchObject({
      model: 'Tiny.Test_1',
      splitter: 'decoder',
      planner: 'even:1.0.0-stable',
    });
    expect(plan.components.map(({ uri }) => uri)).toEqual(
      plan.blocks.map(({ componentUri }) => componentUri),
    );
    expect(plan.vdag.nodes.map(({ blockId }) => blockId)).toEqual(plan.blocks.map(({ id }) => id));
    expect(plan.vdag.generation?.stages).toEqual(plan.vdag.nodes.map(({ label }) => label));
    expect(plan.vdag.edges.map(({ from, to }) => [from, to])).toEqual([
      ['shard-0', 'shard-1'],
      ['shard-1', 'shard-2'],
    ]);
    expect(plan.vdag.generation).toMatchObject({
      contextTokens: 64,
      vocabularySize: 48,
      endTokenIds: [2],
    });
    expect(plan.blocks[0]?.id).toMatch(/^tiny-test-1-shard-0-[0-9a-f]{6}$/);
  });

  test('lists files that are there, with their hashes', async () => {
    const { createHash } = await import('node:crypto');
    const { model, out } = await modelAndOut({ files: 3 });

    const plan = await split(model.folder, out, { shards: 2 });

    const listed = [
      ...plan.components.flatMap(({ stage }, index) =>
        stage!.files.map((file) => ({
          ...file,
          path: join(out, plan.shards[index]!.folder, file.name),
        })),
      ),
      ...plan.vdag.generation!.files.map((file) => ({
        ...file,
        path: join(out, 'tokenizer', file.name),
      })),
    ];
    expect(listed.map(({ name }) => name)).toContain('tokenizer.json');
    for (const { path, hash, sizeBytes } of listed) {
      const bytes = await readFile(path);
      expect(bytes.length).toBe(sizeBytes);
      expect(`sha256:${createHash('sha256').update(bytes).digest('hex')}`).toBe(hash);
    }
  });

  test('holds the memory of a shard: widened weights, KV cache of every session, a process', async () => {
    const { model, out } = await modelAndOut({ dtype: 'F16', tied: true, contextTokens: 32 });

    const plan = await split(model.folder, out, { shards: 2, maxSessions: 5 });

    const [first, last] = plan.shards;
    const { hiddenSize: hidden, intermediateSize: wide, vocabularySize } = model.sizes;
    const layer = hidden * (hidden + 16 + 16 + hidden + 3 * wide + 2) * 4;
    expect(first?.residentBytes).toBe(2 * layer + vocabularySize * hidden * 2);
    expect(last?.residentBytes).toBe(2 * layer + (vocabularySize + 1) * hidden * 4);
    // Heads of 8 numbers take 16 in the cache.
    expect(first?.kvBytes).toBe(2 * 2 * 2 * 16 * 32 * 5 * 4);
    const { overheadBytes } = await outlineModel({ modelFolder: model.folder, splitters });
    expect(plan.blocks[0]?.resources?.memoryBytes).toBe(
      first!.residentBytes + first!.kvBytes + overheadBytes,
    );
  });

  test('names everything else for another split, and the same for the same', async () => {
    const { model, folder, out } = await modelAndOut();
    const names = ({ components, blocks, vdag }: SplitPlan) => [
      ...components.map(({ uri }) => uri),
      ...blocks.map(({ id }) => id),
      vdag.uri,
    ];
    const two = names(await split(model.folder, out, { shards: 2 }));

    const again = names(await split(model.folder, join(folder, 'again'), { shards: 2 }));
    const others = [
      ...names(await split(model.folder, join(folder, 'three'), { shards: 3 })),
      ...names(await split(model.folder, join(folder, 'sessions'), { shards: 2, maxSessions: 3 })),
    ];

    expect(again).toEqual(two);
    expect(two.filter((name) => others.includes(name))).toEqual([]);
  });

  test('gives a shard one identity, linked or copied, and another when its weights differ', async () => {
    const { model, folder, out } = await modelAndOut();
    const other = await writeTestModel(join(folder, 'other'), { seed: 2 });
    const identities = (plan: SplitPlan) => plan.components.map(({ stage }) => stage!.stageHash);

    const linked = identities(await split(model.folder, out, { shards: 2 }));
    const copied = identities(
      await split(model.folder, join(folder, 'c'), { shards: 2, copy: true }),
    );
    const different = identities(await split(other.folder, join(folder, 'o'), { shards: 2 }));

    expect(copied).toEqual(linked);
    expect(different.filter((hash) => linked.includes(hash))).toEqual([]);
  });

  test('covers every layer once and adds up, however it is cut', async () => {
    const { model, folder } = await modelAndOut({ layers: 6, dtype: 'F16' });
    const outline = await outlineModel({ modelFolder: model.folder, splitters });
    const cuts = fc.subarray([1, 2, 3, 4, 5]).map((rest) => [0, ...rest]);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(cuts, async (firstLayers) => {
        run += 1;
        const out = join(folder, `out-${run}`);
        const { shards } = await split(model.folder, out, { plan: async () => ({ firstLayers }) });

        const layers = shards.flatMap(({ firstLayer, lastLayer }) =>
          Array.from({ length: lastLayer - firstLayer + 1 }, (_, i) => firstLayer + i),
        );
        expect(layers).toEqual([0, 1, 2, 3, 4, 5]);
        expect(shards.map(({ hasEmbedding }) => hasEmbedding).lastIndexOf(true)).toBe(0);
        expect(shards.map(({ hasHead }) => hasHead).indexOf(true)).toBe(shards.length - 1);
        expect(sum(shards.map(({ residentBytes }) => residentBytes))).toBe(
          sum(outline.layers.map(({ residentBytes }) => residentBytes)) +
            outline.embeddingBytes +
            outline.headBytes,
        );
        expect(sum(shards.map(({ fileBytes }) => fileBytes))).toBe(
          2 * sum([...model.tensors.values()].map(({ values }) => values.length)),
        );
      }),
      { numRuns: 12 },
    );
  });
});

describe('a split folder', () => {
  test('links the checkpoint, so that it takes kilobytes', async () => {
    const { model, out } = await modelAndOut();
    const plan = await split(model.folder, out, { shards: 4 });

    const source = await stat(join(model.folder, 'model.safetensors'));
    for (const { folder } of plan.shards) {
      const linked = await stat(join(out, folder, 'model.safetensors'));
      expect(linked.ino).toBe(source.ino);
      expect((await stat(join(out, folder, 'stage.onnx'))).size).toBeLessThan(16_384);
    }
  });

  test('links the files a shard needs and no others', async () => {
    const { model, out } = await modelAndOut({ files: 3 });

    const plan = await split(model.folder, out, { shards: 4 });

    const names = plan.components.map(({ stage }) => stage!.files.map(({ name }) => name));
    expect(names[0]).toEqual(['stage.onnx', 'model-00001-of-00003.safetensors']);
    expect(names.at(-1)).toEqual(['stage.onnx', 'model-00003-of-00003.safetensors']);
  });

  test("links the file behind a symbolic link, as in Hugging Face's cache", async () => {
    const { model, folder, out } = await modelAndOut();
    const weights = join(model.folder, 'model.safetensors');
    await link(weights, join(folder, 'blob'));
    await rm(weights);
    await symlink('../blob', weights);

    await split(model.folder, out);

    const linked = await stat(join(out, 'shard-0', 'model.safetensors'));
    expect(linked.ino).toBe((await stat(join(folder, 'blob'))).ino);
  });

  test('holds only its ranges when weights are copied, and progress tells', async () => {
    const { model, out } = await modelAndOut();
    const messages: string[] = [];

    const plan = await split(model.folder, out, {
      shards: 2,
      copy: true,
      onProgress: ({ message, fraction }) => {
        messages.push(message);
        expect(fraction).toBeGreaterThanOrEqual(0);
        expect(fraction).toBeLessThanOrEqual(1);
      },
    });

    for (const { folder, fileBytes } of plan.shards) {
      expect((await readdir(join(out, folder))).sort()).toEqual(['stage.onnx', 'weights.bin']);
      const { size } = await stat(join(out, folder, 'weights.bin'));
      expect(size).toBeGreaterThanOrEqual(fileBytes);
      expect(size).toBeLessThan(fileBytes + 64 * 30);
    }
    expect(messages).toContain('copying the weights of shard 1');
  });

  test('is replaced by the next split', async () => {
    const { model, folder, out } = await modelAndOut();
    await split(model.folder, out, { shards: 4 });

    await split(model.folder, out, { shards: 2 });

    expect((await readdir(out)).sort()).toEqual(['plan.json', 'shard-0', 'shard-1', 'tokenizer']);
    expect(await leftBy(folder)).toEqual(['out', 'out.hashes.json']);
  });

  test.each([
    ['a new folder', false],
    ['a previous split', true],
  ])('of several at once, into %s, is one of them, whole', async (_what, replaces) => {
    const { model, folder, out } = await modelAndOut();
    if (replaces) await split(model.folder, out);

    const splits = await Promise.allSettled(
      [1, 2, 3, 4, 1, 2, 3, 4].map((shards) => split(model.folder, out, { shards })),
    );

    const plan = await readPlan(out);
    expect((await readdir(out)).sort()).toEqual([
      'plan.json',
      ...plan.shards.map(({ folder }) => folder),
      'tokenizer',
    ]);
    const refusals = splits.filter((one) => one.status === 'rejected');
    expect(refusals.length).toBeLessThan(splits.length);
    for (const { reason } of refusals) expect(reason).toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(await leftBy(folder)).toEqual(['out', 'out.hashes.json']);
  });

  test('is never made over files of someone else', async () => {
    const { model, out } = await modelAndOut();
    await split(model.folder, out);
    await writeFile(join(out, 'notes.txt'), 'mine');

    await expect(split(model.folder, out)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await expect(split(model.folder, model.folder)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    await expect(split(model.folder, join(out, 'notes.txt'))).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    expect(await readFile(join(out, 'notes.txt'), 'utf8')).toBe('mine');
  });

  test('may be an empty folder, or one whose parents are not there yet', async () => {
    const { model, folder } = await modelAndOut();
    await mkdir(join(folder, 'empty'));

    await split(model.folder, join(folder, 'empty'));
    await split(model.folder, join(folder, 'a', 'b', 'c'));

    expect(await readdir(join(folder, 'empty'))).toContain('plan.json');
    expect(await readdir(join(folder, 'a', 'b', 'c'))).toContain('plan.json');
  });
});

describe('a model that cannot be split leaves nothing behind', () => {
  const weights = (folder: string) => join(folder, 'model.safetensors');
  const index = (folder: string) => join(folder, 'model.safetensors.index.json');
  const editIndex = async (folder: string, edit: (map: Record<string, string>) => void) => {
    const document = JSON.parse(await readFile(index(folder), 'utf8'));
    edit(document.weight_map);
    await writeFile(index(folder), JSON.stringify(document));
  };

  const cases: Record<
    string,
    {
      readonly model?: Parameters<typeof writeTestModel>[1];
      readonly spoil: (folder: string) => Promise<void>;
      readonly says: RegExp;
      readonly code?: string;
    }
  > = {
    'a truncated file': {
      spoil: async (folder) => truncate(weights(folder), (await stat(weights(folder))).size - 10),
      says: /is truncated: \d+ of \d+ bytes; 1 tensor lost, first 'lm_head.weight'/,
    },
    'no weights': { spoil: (folder) => rm(weights(folder)), says: /no safetensors weights/ },
    'a tensor of another shape': {
      model: { config: { intermediate_size: 60 } },
      spoil: async () => {},
      says: /layers\.0\.mlp\.gate_proj\.weight: .*expected \[60, 32\]; got \[56, 32\]/,
    },
    'a layer that is missing': {
      model: { config: { num_hidden_layers: 5 } },
      spoil: async () => {},
      says: /layers\.4\.self_attn\.q_proj\.weight: .*missing.*F32, F16, BF16 \[32, 32\]/,
    },
    'no head where embeddings are not tied': {
      model: { tied: true, config: { tie_word_embeddings: false } },
      spoil: async () => {},
      says: /lm_head\.weight: .*missing/,
    },
    'a missing shard file': {
      model: { files: 3 },
      spoil: (folder) => rm(join(folder, 'model-00002-of-00003.safetensors')),
      says: /model-00002-of-00003\.safetensors: cannot be opened/,
    },
    'an index that names a tensor its file does not hold': {
      model: { files: 2 },
      spoil: (folder) =>
        editIndex(folder, (map) => {
          map['model.norm.weight'] = 'model-00001-of-00002.safetensors';
        }),
      says: /weight_map\["model\.norm\.weight"\].*does not hold/,
    },
    'an index that leaves a tensor out': {
      model: { files: 2 },
      spoil: (folder) => editIndex(folder, (map) => delete map['lm_head.weight']),
      says: /lm_head\.weight.*does not list/,
    },
    'an index that leaves the folder': {
      model: { files: 2 },
      spoil: (folder) =>
        editIndex(folder, (map) => {
          map['lm_head.weight'] = '../secret.safetensors';
        }),
      says: /outside the folder.*secret/,
    },
    'an index that is no index': {
      model: { files: 2 },
      spoil: (folder) => writeFile(index(folder), '{"weight_map": 3}'),
      says: /weight_map: is malformed/,
    },
    'no tokenizer': {
      spoil: (folder) => rm(join(folder, 'tokenizer.json')),
      says: /tokenizer\.json: is missing/,
    },
    'a tokenizer that is no JSON': {
      spoil: (folder) => writeFile(join(folder, 'tokenizer.json'), '{'),
      says: /tokenizer\.json: cannot be read/,
    },
    'a tokenizer that is none': {
      spoil: (folder) => writeFile(join(folder, 'tokenizer.json'), '{"a":1}'),
      says: /tokenizer\.json: \$\.model: /,
    },
    'a chat template that is no template': {
      spoil: (folder) => writeFile(join(folder, 'chat_template.jinja'), '{% if %}'),
      says: /chat template/,
    },
    'no config': {
      spoil: (folder) => rm(join(folder, 'config.json')),
      says: /config\.json: is missing/,
    },
    'another architecture': {
      model: { config: { architectures: ['GPT2LMHeadModel'] } },
      spoil: async () => {},
      says: /GPT2LMHeadModel is not supported/,
      code: 'ARCHITECTURE_UNSUPPORTED',
    },
  };
  for (const [name, { model: options, spoil, says, code = 'CHECKPOINT_INVALID' }] of Object.entries(
    cases,
  )) {
    test(name, async () => {
      const { model, folder, out } = await modelAndOut(options);
      await spoil(model.folder);

      const failure = await split(model.folder, out).catch((error: unknown) => error);

      expect(failure).toMatchObject({ code, message: expect.stringMatching(says) });
      expect(await leftBy(folder)).toEqual([]);
    });
  }

  test('everything that is wrong is said at once', async () => {
    const { model, out } = await modelAndOut({ config: { intermediate_size: 60, vocab_size: 40 } });
    await rm(join(model.folder, 'tokenizer.json'));

    const failure = await split(model.folder, out).catch((error: unknown) => error);

    const { problems } = failure as { problems: { path: string }[] };
    expect(problems).toHaveLength(4 * 3 + 2 + 1);
  });

  test('an earlier split stays', async () => {
    const { model, out } = await modelAndOut();
    const earlier = await split(model.folder, out, { shards: 2 });
    await truncate(weights(model.folder), 1000);

    await expect(split(model.folder, out)).rejects.toMatchObject({ code: 'CHECKPOINT_INVALID' });
    expect(await readPlan(out)).toEqual(earlier);
  });
});

describe('cuts', () => {
  const wrong: Record<string, number[]> = {
    'that do not begin at 0': [1, 2],
    'that go back': [0, 3, 2],
    'that repeat': [0, 2, 2],
    'past the last layer': [0, 4],
    'between layers': [0, 1.5],
    'that are none': [],
  };
  for (const [name, firstLayers] of Object.entries(wrong)) {
    test(`${name} are refused`, async () => {
      const { model, folder, out } = await modelAndOut();

      const refused = split(model.folder, out, { plan: async () => ({ firstLayers }) });

      await expect(refused).rejects.toMatchObject({ code: 'SPLIT_PLAN_INVALID' });
      expect(await leftBy(folder)).toEqual([]);
    });
  }

  test('that a planner does not find are its answer', async () => {
    const { model, out } = await modelAndOut();

    const refused = split(model.folder, out, {
      plan: async () => ({ infeasible: 'no node is large enough.' }),
    });

    await expect(refused).rejects.toMatchObject({
      code: 'SPLIT_INFEASIBLE',
      message: expect.stringContaining('no node is large enough.'),
    });
  });
});

test('a cancelled split leaves nothing behind', async () => {
  for (const stage of ['begin', 'main', 'finish']) {
    const { model, folder, out } = await modelAndOut();
    const controller = new AbortController();

    const cancelled = split(model.folder, out, {
      shards: 3,
      copy: true,
      signal: controller.signal,
      onProgress: (progress) => {
        if (progress.stage === stage) controller.abort();
      },
    });

    await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await leftBy(folder)).toEqual([]);
  }
});

test('a context longer than the model was made for is refused', async () => {
  const { model, out } = await modelAndOut({ contextTokens: 64 });

  await expect(split(model.folder, out, { contextTokens: 65 })).rejects.toMatchObject({
    code: 'REQUEST_INVALID',
  });
});

test('an outline is computed without writing', async () => {
  const { model, folder } = await modelAndOut();

  const outline = await outlineModel({ modelFolder: model.folder, splitters, maxSessions: 1 });

  expect(outline).toMatchObject({ name: 'Tiny.Test_1', architecture: 'LlamaForCausalLM' });
  expect(outline.layers).toHaveLength(4);
  expect(await leftBy(folder)).toEqual([]);
});

test('weights are hashed once, until they change', async () => {
  const { model, folder } = await modelAndOut();
  const hashCachePath = join(folder, 'cache', 'hashes.json');
  const hashOf = async (out: string) => {
    const plan = await splitModel({
      modelFolder: model.folder,
      outFolder: join(folder, out),
      splitters,
      plan: async () => ({ firstLayers: [0, 2] }),
      hashCachePath,
    });
    return plan.components[0]!.stage!.files[1]!.hash;
  };
  const first = await hashOf('one');
  const cache = JSON.parse(await readFile(hashCachePath, 'utf8'));
  expect(cache.entries).toHaveLength(1);

  cache.entries[0].hash = `sha256:${'0'.repeat(64)}`;
  await writeFile(hashCachePath, JSON.stringify(cache));
  expect(await hashOf('two')).toBe(cache.entries[0].hash);

  await writeTestModel(model.folder, { seed: 5 });
  const changed = await hashOf('three');
  expect(changed).not.toBe(first);
  expect(changed).not.toBe(cache.entries[0].hash);

  await writeFile(hashCachePath, 'not a cache');
  expect(await hashOf('four')).toBe(changed);
  expect(basename(dirname(hashCachePath))).toBe('cache');
});
