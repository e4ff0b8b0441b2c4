import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cp,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { entryPath } from '../../../runtime/entry.ts';
import { writeConverted } from '../../../runtime/model/quantize/write-converted.ts';
import { type SplitModelOptions, splitModel } from '../../../runtime/model/split.ts';
import { splitters } from '../../../runtime/model/splitters/index.ts';
import type { SplitPlan, WeightDtype } from '../../../sdk/spec/plan.ts';
import { encodeSafetensors, writeTestModel } from '../../support/checkpoint.ts';

const scratch = await mkdtemp(join(tmpdir(), 'aios-resumed-'));
afterAll(() => rm(scratch, { recursive: true }));

const modelFolder = join(scratch, 'model');
const sizes = { vocabularySize: 2048, hiddenSize: 1024, intermediateSize: 2048, layers: 2 };
/** Of the splits below, for their folders. */
let run = 0;

type Changes = Partial<Omit<SplitModelOptions, 'dtype'>> & {
  readonly dtype?: WeightDtype | 'as it lies';
};

function split(
  outFolder: string,
  { dtype = 'int4', ...options }: Changes = {},
): Promise<SplitPlan> {
  return splitModel({
    ...{ modelFolder, outFolder, splitters, maxSessions: 1 },
    ...(dtype === 'as it lies' ? {} : { dtype }),
    plan: async () => ({ firstLayers: [0, 1] }),
    hashCachePath: join(scratch, 'hashes.json'),
    ...options,
  });
}

/** Splits in a process that stops when a third is done, and kills it there. @returns the folder beside its `out` */
async function killedSplit(): Promise<string> {
  const folder = join(scratch, 'killed');
  const code = `
    import { splitModel, splitters } from ${JSON.stringify(entryPath('runtime/model/index.js'))};
    await splitModel({
      modelFolder: ${JSON.stringify(modelFolder)},
      outFolder: ${JSON.stringify(join(folder, 'out'))},
      splitters, dtype: 'int4', maxSessions: 1,
      plan: async () => ({ firstLayers: [0, 1] }),
      onProgress({ stage, fraction }) {
        if (stage !== 'main' || fraction < 0.3) return;
        process.stdout.write('third');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      },
    });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code]);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  return folder;
}

let killed: string;
let fresh: SplitPlan;
beforeAll(async () => {
  await writeTestModel(modelFolder, { ...sizes, dtype: 'BF16', files: 2 });
  killed = await killedSplit();
  fresh = await split(join(scratch, 'fresh'));
});

/** A copy of what the killed split left, to go on with. */
async function leftBehind() {
  run += 1;
  const folder = join(scratch, `run-${run}`);
  await cp(killed, folder, { recursive: true });
  const [name = ''] = await readdir(folder);
  return { folder, out: join(folder, 'out'), left: join(folder, name) };
}

/** What a split says while it works. */
async function splitWithWords(out: string, options: Changes = {}) {
  const words: string[] = [];
  const plan = await split(out, { ...options, onProgress: ({ message }) => words.push(message) });
  const count = (text: string) => words.filter((word) => word.includes(text)).length;
  return { plan, checked: count('checking what was written'), made: count('converting') };
}

describe('a split that was killed', () => {
  it('goes on where it was, to the same end', async () => {
    const { folder, out, left } = await leftBehind();
    const lines = (await readFile(join(left, 'journal.jsonl'), 'utf8')).trim().split('\n').length;

    const { plan, checked, made } = await splitWithWords(out);

    expect(plan).toEqual(fresh);
    expect(checked).toBe(lines);
    expect(made).toBeGreaterThan(0);
    expect(await readdir(folder)).toEqual(['out']);
    expect((await readdir(out)).sort()).toEqual(['plan.json', 'shard-0', 'shard-1', 'tokenizer']);
  });

  it('does not trust what lies there', async () => {
    const { out, left } = await leftBehind();
    const weights = await open(join(left, 'shard-0', 'weights.bin'), 'r+');
    await weights.write(Buffer.from([1, 2, 3]), 0, 3, 100);
    await weights.close();
    const journal = join(left, 'journal.jsonl');
    const text = await readFile(journal, 'utf8');
    await writeFile(journal, `\u0000[]\n{}\n["0/x@0",1]\n${text.slice(0, -20)}`);

    const { plan, checked } = await splitWithWords(out);

    expect(plan).toEqual(fresh);
    // The spoiled chunk, and the one whose line was cut off.
    expect(checked).toBe(text.trim().split('\n').length - 2);
  });

  it.each([
    ['to another type', { dtype: 'int8' }],
    ['with another context', { contextTokens: 32 }],
    ['at other layers', { plan: async () => ({ firstLayers: [0] }) }],
    ['without any conversion', { dtype: 'as it lies' }],
  ] as [string, Changes][])('is removed by one %s', async (_what, changes) => {
    const { folder, out } = await leftBehind();

    const { checked } = await splitWithWords(out, changes);

    expect(checked).toBe(0);
    expect(await readdir(folder)).toEqual(['out']);
  });

  it('is removed when the checkpoint is another by now', async () => {
    const { folder, out } = await leftBehind();
    await utimes(join(modelFolder, 'model-00001-of-00002.safetensors'), 1e9, 1e9);

    const { plan, checked } = await splitWithWords(out);

    expect(checked).toBe(0);
    expect(plan).toEqual(fresh);
    expect(await readdir(folder)).toEqual(['out']);
  });

  it('is left alone while its process lives, or may live elsewhere', async () => {
    const { folder, out, left } = await leftBehind();
    for (const owner of [
      { host: hostname(), pid: process.pid },
      { host: 'another', pid: 1 },
    ]) {
      await writeFile(join(left, 'owner.json'), JSON.stringify(owner));
      const { checked } = await splitWithWords(out);
      expect(checked).toBe(0);
      expect((await readdir(folder)).length).toBe(2);
    }
  });
});

describe('a split that was killed while it replaced another', () => {
  /** No process has it. */
  const dead = 2 ** 22 + 1;
  const folders = async (owner: number, isReplaced: boolean) => {
    run += 1;
    const folder = join(scratch, `replaced-${run}`);
    const out = join(folder, 'out');
    await cp(join(scratch, 'fresh'), join(folder, `.out-0123abcd-previous-${owner}`), {
      recursive: true,
    });
    if (isReplaced) await cp(join(scratch, 'fresh'), out, { recursive: true });
    // Of another place, whose name begins the same.
    await mkdir(join(folder, `.out-2-0123abcd-previous-${dead}`));
    return { folder, out };
  };
  it('leaves the other one to be found in its place, also by one that then fails', async () => {
    const { folder, out } = await folders(dead, false);
    const stop = new AbortController();
    const onProgress: SplitModelOptions['onProgress'] = ({ stage }) => {
      if (stage === 'main') stop.abort();
    };

    const failure = await split(out, {
      dtype: 'as it lies',
      signal: stop.signal,
      onProgress,
    }).catch((error) => error);

    expect(failure).toMatchObject({ code: 'CANCELLED' });
    expect((await readdir(folder)).sort()).toEqual([`.out-2-0123abcd-previous-${dead}`, 'out']);
    expect(JSON.parse(await readFile(join(out, 'plan.json'), 'utf8'))).toEqual(fresh);
  });

  it('leaves nothing where it had done so', async () => {
    const { folder, out } = await folders(dead, true);
    await split(out);

    expect((await readdir(folder)).sort()).toEqual([`.out-2-0123abcd-previous-${dead}`, 'out']);
  });

  it('is not disturbed while it lives', async () => {
    const { folder, out } = await folders(process.pid, true);
    await split(out);

    expect(await readdir(folder)).toHaveLength(3);
  });
});

describe('a split that converts', () => {
  it('keeps what it has when it is cancelled, and says where', async () => {
    const out = join(scratch, 'cancelled', 'out');
    const stop = new AbortController();
    const onProgress: SplitModelOptions['onProgress'] = ({ stage, fraction }) => {
      if (stage === 'main' && fraction > 0.5) stop.abort();
    };

    const failure = await split(out, { signal: stop.signal, onProgress }).catch((error) => error);

    expect(failure).toMatchObject({ code: 'CANCELLED' });
    const [left = ''] = await readdir(join(scratch, 'cancelled'));
    expect(failure.message).toContain(left);
    const { plan, checked } = await splitWithWords(out);
    expect(plan).toEqual(fresh);
    expect(checked).toBeGreaterThan(0);
    expect(await readdir(join(scratch, 'cancelled'))).toEqual(['out']);
  });

  it.each([
    ['no number', 'int4', 0x7fc0, /'lm_head\.weight' at \[3, 5\]: NaN is no weight/],
    ['an infinite one', 'int8', 0xff80, /'lm_head\.weight' at \[3, 5\]: -Infinity is no weight/],
    ['no number', 'fp32', 0x7fc0, /'lm_head\.weight' at \[3, 5\]: NaN is no weight/],
    ['one beyond fp16', 'fp16', 0x4780, /65536 is beyond fp16/],
  ] as const)(
    'refuses %s in %s, by its tensor, and leaves nothing',
    async (_w, dtype, bits, says) => {
      run += 1;
      const folder = join(scratch, `bad-${run}`);
      const model = await writeTestModel(join(folder, 'model'), { dtype: 'BF16' });
      const entries = [...model.tensors].map(([name, { shape, values }]) => {
        const data = new Uint16Array(values.length);
        if (name === 'lm_head.weight') data[3 * 32 + 5] = bits;
        return { name, dtype: 'BF16', shape, data: new Uint8Array(data.buffer) };
      });
      await writeFile(join(model.folder, 'model.safetensors'), encodeSafetensors(entries));

      const failure = await split(join(folder, 'out'), { modelFolder: model.folder, dtype }).catch(
        (error) => error,
      );

      expect(failure).toMatchObject({ code: 'CHECKPOINT_INVALID' });
      expect(failure.message).toMatch(says);
      expect(await readdir(folder)).toEqual(['model']);
    },
  );

  it('links what is of the type already', async () => {
    const folder = join(scratch, 'already');
    const model = await writeTestModel(join(folder, 'model'), { dtype: 'F16' });

    const plan = await split(join(folder, 'out'), { modelFolder: model.folder, dtype: 'fp16' });

    expect(plan.dtype).toBe('fp16');
    expect(await readdir(join(folder, 'out', 'shard-0'))).toEqual([
      'model.safetensors',
      'stage.onnx',
    ]);
  });

  it('is refused before an hour of work where the disk is too small', async () => {
    const folder = await mkdtemp(join(scratch, 'small-'));
    const layout = { tensors: [], fileBytes: 1e18 };
    const context = {
      ...{ outFolder: folder, signal: new AbortController().signal, progress: () => {} },
    };

    const writing = writeConverted(context, [{ layout, graph: new Uint8Array() }]);

    await expect(writing).rejects.toMatchObject({
      code: 'SPLIT_INFEASIBLE',
      details: { neededBytes: 1e18 },
    });
    expect(await readdir(folder)).toEqual([]);
  });

  it('is refused where there are no numbers to convert, or no such blocks', async () => {
    await expect(split(join(scratch, 'x'), { blockSize: 33 })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });
});
