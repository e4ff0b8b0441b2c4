import { createHash } from 'node:crypto';
import { readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { completePlan } from '../../../runtime/model/complete-plan.ts';
import { splitModel, type WriteSplitOptions, writeSplit } from '../../../runtime/model/split.ts';
import { splitters } from '../../../runtime/model/splitters/index.ts';
import { readPlan, readWrittenPlan } from '../../../sdk/spec/index.ts';
import { openHash, type WrittenPlan } from '../../../sdk/spec/plan.ts';
import type { Splitter } from '../../../sdk/splitter.ts';
import { writeTestModel } from '../../support/checkpoint.ts';
import { writeDetector, writeEncoder } from '../../support/onnx-models.ts';
import { readPlanFile } from '../../support/onnx-split.ts';
import { evenFirstLayers, temporaryFolder } from './workspace.ts';

const encoderSizes = { layers: 2, hidden: 32, heads: 2, vocabulary: 100 };
const models = {
  'a checkpoint of three files': async (folder: string) =>
    (await writeTestModel(join(folder, 'model'), { files: 3 })).folder,
  'a graph with external data': async (folder: string) =>
    writeEncoder(join(folder, 'model'), encoderSizes).path,
  'a graph with its weights inside': async (folder: string) =>
    writeDetector(join(folder, 'model'), 4).path,
};

/** A model, written long enough ago for its hashes to be kept. */
async function modelIn(folder: string, write: (folder: string) => Promise<string>) {
  const path = await write(folder);
  const hourAgo = Date.now() / 1000 - 3600;
  for (const name of await readdir(join(folder, 'model'))) {
    await utimes(join(folder, 'model', name), hourAgo, hourAgo);
  }
  return path;
}

const options = (folder: string, modelFolder: string, out: string) => ({
  ...{ modelFolder, outFolder: join(folder, out), splitters, shards: 3 },
  hashCachePath: join(folder, `${out}.hashes.json`),
  plan: async ({ layers }: { layers: readonly unknown[] }) => ({
    firstLayers: evenFirstLayers(layers.length, Math.min(3, layers.length)),
  }),
});

/** The built-in splitters, which say what they read whole. */
function watched(read: string[]): readonly Splitter[] {
  return splitters.map((one) => ({
    ...one,
    finish: (context, done) =>
      one.finish(
        {
          ...context,
          hashFile(path, onBytes) {
            read.push(path);
            return context.hashFile(path, onBytes);
          },
        },
        done,
      ),
  }));
}

const leftOpen = (options: Omit<WriteSplitOptions, 'readAtMostBytes'>) =>
  writeSplit({ ...options, readAtMostBytes: 0 });

const partsOf = ({ components }: WrittenPlan) =>
  components.flatMap(({ stage, graph }) => stage ?? graph ?? []);

describe.each(Object.entries(models))('%s', (_what, write) => {
  test('is split without reading a weight, and is known by the same hashes in the end', async () => {
    const folder = await temporaryFolder();
    const model = await modelIn(folder, write);
    const read: string[] = [];
    const open = await leftOpen({ ...options(folder, model, 'open'), splitters: watched(read) });

    expect(read.filter((path) => !/stage\.onnx$|tokenizer/.test(path))).toEqual([]);
    expect(await readPlanFile(join(folder, 'open'))).toEqual(open);
    expect(partsOf(open).map(({ stageHash }) => stageHash)).toEqual(
      partsOf(open).map(() => openHash),
    );

    const written = readWrittenPlan(await readPlanFile(join(folder, 'open')));
    const hashCachePath = join(folder, 'hashes.json');
    const complete = await completePlan(join(folder, 'open'), written, { hashCachePath });

    const atOnce = await splitModel(options(folder, model, 'at-once'));
    const copied = await splitModel({ ...options(folder, model, 'copied'), copy: true });
    expect(complete).toEqual(atOnce);
    expect(partsOf(complete).map(({ stageHash }) => stageHash)).toEqual(
      partsOf(copied).map(({ stageHash }) => stageHash),
    );
    expect(readPlan(await readPlanFile(join(folder, 'open')))).toEqual(complete);
    expect((await readdir(join(folder, 'open', 'shard-0'))).sort()).toEqual(
      (await readdir(join(folder, 'at-once', 'shard-0'))).sort(),
    );
    for (const [index, { files }] of partsOf(complete).entries()) {
      for (const { name, hash } of files) {
        const bytes = await readFile(join(folder, 'open', `shard-${index}`, name));
        expect(hash).toBe(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
      }
    }
    // Each file once, however many shards link to it.
    const { entries } = JSON.parse(await readFile(hashCachePath, 'utf8'));
    expect(entries).toHaveLength(open.pending?.files.length ?? 0);
  });
});

describe('a plan with open hashes', () => {
  async function openSplit() {
    const folder = await temporaryFolder();
    const model = await modelIn(folder, models['a checkpoint of three files']);
    const out = join(folder, 'open');
    const plan = await leftOpen(options(folder, model, 'open'));
    const hashCachePath = join(folder, 'hashes.json');
    return { model, out, plan, hashCachePath };
  }

  test('is no plan to create, and says who completes it', async () => {
    const { plan } = await openSplit();

    expect(() => readPlan(plan)).toThrow(
      expect.objectContaining({
        code: 'SPLIT_PLAN_INVALID',
        message: expect.stringContaining('create-plan'),
      }),
    );
  });

  test('is refused when a file was written to, or is gone, with every one of them', async () => {
    const { model, out, plan, hashCachePath } = await openSplit();
    const [first = '', second = '', third = ''] = plan.pending?.files.map(({ name }) => name) ?? [];
    await writeFile(join(model, first), await readFile(join(model, first)));
    await writeFile(join(model, second), 'shorter');
    const holders = (await readdir(out)).filter((name) => name.startsWith('shard-'));
    for (const shard of holders) await rm(join(out, shard, third), { force: true });

    const refusal = completePlan(out, plan, { hashCachePath });

    await expect(refusal).rejects.toMatchObject({ code: 'SPLIT_PLAN_INVALID' });
    const { problems } = await refusal.catch((error) => error);
    const messages = (name: string) =>
      problems
        .filter(({ path }: { path: string }) => path.endsWith(name))
        .map(({ message }: { message: string }) => message)[0];
    expect(messages(first)).toContain('written to after');
    expect(messages(second)).toContain('another size');
    expect(messages(third)).toContain('missing');
    expect(await readPlanFile(out)).toEqual(plan);
  });

  test('is refused when a graph was edited', async () => {
    const { out, plan, hashCachePath } = await openSplit();
    await writeFile(join(out, 'shard-1', 'stage.onnx'), 'another');

    await expect(completePlan(out, plan, { hashCachePath })).rejects.toMatchObject({
      code: 'SPLIT_PLAN_INVALID',
      problems: [{ path: join(out, 'shard-1', 'stage.onnx') }],
    });
  });

  test('is refused when it lists fewer files than its shards use', async () => {
    const { out, plan, hashCachePath } = await openSplit();
    const { files = [], tensors = [] } = plan.pending ?? {};
    const short = { ...plan, pending: { files: files.slice(1), tensors } };

    await expect(
      completePlan(out, readWrittenPlan(short), { hashCachePath }),
    ).rejects.toMatchObject({
      code: 'SPLIT_PLAN_INVALID',
      problems: [{ path: '$.pending.files' }],
    });
    const pending = { files, tensors: [['no tensor']] };
    expect(() => readWrittenPlan({ ...plan, pending })).toThrow('$.pending.tensors[0][0]');
  });

  test('stays open when completing it is cancelled, and says how far it came', async () => {
    const { out, plan, hashCachePath } = await openSplit();
    const controller = new AbortController();
    const said: string[] = [];

    const completing = completePlan(out, plan, {
      hashCachePath,
      signal: controller.signal,
      onProgress(_fraction, message) {
        said.push(message);
        controller.abort();
      },
    });

    await expect(completing).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(said[0]).toMatch(/^hashing \S+\.safetensors: \S+ \S+ of \S+ \S+/);
    expect(await readPlanFile(out)).toEqual(plan);
  });

  test('is not left by a small model, nor where weights are copied or converted', async () => {
    const folder = await temporaryFolder();
    const model = await modelIn(folder, models['a checkpoint of three files']);

    for (const [out, how] of Object.entries({
      small: {},
      copied: { readAtMostBytes: 0, copy: true },
      converted: { readAtMostBytes: 0, dtype: 'int8' as const },
    })) {
      const plan = await writeSplit({ ...options(folder, model, out), ...how });
      expect(plan.pending).toBeUndefined();
      expect(partsOf(plan).some(({ stageHash }) => stageHash === openHash)).toBe(false);
    }
    expect((await stat(join(folder, 'small', 'shard-0', 'stage.onnx'))).nlink).toBe(1);
  });
});
