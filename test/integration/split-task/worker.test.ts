import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { splitModel, splitters } from '../../../runtime/model/index.ts';
import {
  previewSplitWorker,
  type RunWorkerOptions,
  runSplitWorker,
} from '../../../runtime/split-task/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { repository, tinyAssistant } from '../../support/system.ts';
import { bundle } from '../control/plane.ts';

let folder: string;
let lines: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-worker-'));
  await mkdir(join(folder, 'model'));
  lines = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const parity = join(repository, 'examples/custom-splitter/parity');
const noPlan = async () => ({ firstLayers: [0] });

/** Splits with an author's source. */
async function ordered(source: string, more: Partial<RunWorkerOptions> = {}, model?: string) {
  const splitterFile = join(folder, 'own.mjs');
  await writeFile(splitterFile, await bundle(source));
  const options: RunWorkerOptions = {
    order: {
      split: {
        modelFolder: model ?? join(folder, 'model'),
        outFolder: join(folder, 'out'),
        hashCachePath: join(folder, 'hashes.json'),
      },
      splitterFile,
      task: { id: 'task-1', attempt: 2 },
    },
    plan: noPlan,
    layers: { find: async () => undefined, register: async () => undefined },
    onProgress: () => undefined,
    onLog: (line) => lines.push(line),
    signal: new AbortController().signal,
    ...more,
  };
  return options;
}
type Ordered = Parameters<typeof ordered>;
const splitWith = async (...order: Ordered) => runSplitWorker(await ordered(...order));
const previewWith = async (...order: Ordered) => previewSplitWorker(await ordered(...order));

/** A splitter whose stages do as they are told, and may say to the parent what they like. */
const author = (stages: { begin?: string; main?: string; finish?: string }) => `
  import { writeFileSync, writeSync } from 'node:fs';
  import { join } from 'node:path';
  import { defineSplitter } from 'aios-sdk';
  async function write(bytes) {
    for (let from = 0; from < bytes.length; ) {
      try {
        from += writeSync(3, bytes, from);
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  }
  const say = (message) => write(Buffer.from(JSON.stringify(message) + '\\n'));
  export default defineSplitter({
    name: 'own', description: 'anything.', accepts: async () => true,
    async begin(context) { ${stages.begin ?? ''} },
    async main(context, begun) {
      writeFileSync(join(context.outFolder, 'half'), 'written');
      ${stages.main ?? ''}
    },
    async finish(context, done) { ${stages.finish ?? ''} },
  });`;

/** What a split left beside the model and the author's bundle. */
const left = async () =>
  (await readdir(folder)).filter((name) => !['model', 'own.mjs', 'hashes.json'].includes(name));

const faultOf = (split: Promise<unknown>): Promise<AiosError> =>
  split.then(
    () => {
      throw new Error('it did not fail');
    },
    (error) => AiosError.from(error),
  );

describe('what a splitter of one’s own would write', () => {
  const example = () =>
    readFile(join(repository, 'examples/custom-splitter/mlp-splitter.ts'), 'utf8');
  const firstTwo = async () => ({ firstLayers: [0, 2] });

  test('is said without writing it: by what it told the planner, and by its plan', async () => {
    const preview = await previewWith(await example(), { plan: firstTwo }, parity);

    expect(preview).toMatchObject({ outline: { name: 'parity', architecture: 'MLP' } });
    expect(preview.estimated).toBe(true);
    expect(lines).toEqual(['3 layers, 2 shards']);
    expect(await left()).toEqual([]);
    const plan = await splitWith(await example(), { plan: firstTwo }, parity);
    expect(plan.shards.map(({ index: _index, folder: _folder, ...amounts }) => amounts)).toEqual(
      preview.shards.map(({ hasEmbedding: _e, hasHead: _h, ...amounts }) =>
        expect.objectContaining(amounts),
      ),
    );
  });

  test('is what its shards() says, though it asks no planner', async () => {
    const cut = `
      import { defineSplitter } from 'aios-sdk';
      export default defineSplitter({
        name: 'table', description: 'decoders, by a table.', accepts: async () => true,
        async begin(context) {
          const decoder = context.tools.splitter('decoder');
          return { decoder, begun: await decoder.begin({ ...context, plan: async () => [0, 1, 6] }) };
        },
        shards: ({ decoder, begun }) => decoder.shards(begun),
        main: async () => { throw new Error('not asked for'); },
        finish: async () => { throw new Error('not asked for'); },
      });`;

    const preview = await previewWith(cut, {}, tinyAssistant);

    expect(preview.estimated).toBeUndefined();
    expect(preview.outline).toMatchObject({
      name: 'tiny-assistant',
      architecture: 'LlamaForCausalLM',
    });
    expect(preview.shards.map(({ firstLayer }) => firstLayer)).toEqual([0, 1, 6]);
  });

  test.each([
    ['asks nobody and says nothing', '', 'UNSUPPORTED'],
    ['fails', "throw new Error('no weights');", 'SPLITTER_FAILED'],
    ['ends', 'process.exit(7);', 'SPLITTER_FAILED'],
    [
      'says what is no preview',
      "await say({ type: 'previewed', preview: { outline: {}, shards: [] } }); process.exit(0);",
      'SPLIT_PLAN_INVALID',
    ],
    [
      'says that it has split',
      "await say({ type: 'done', plan: {} }); process.exit(0);",
      'SPLITTER_FAILED',
    ],
    [
      'gives layers that are none',
      `await context.plan({
      name: 'x', architecture: 'x', contextTokens: 1, embeddingBytes: 0, headBytes: 0, overheadBytes: -1,
      layers: [{ residentBytes: 1.5, kvBytes: 0 }] });`,
      'SPLIT_PLAN_INVALID',
    ],
  ])('is an error where it %s, and nothing is left', async (_what, begin, code) => {
    const fault = await faultOf(previewWith(author({ begin })));

    expect(fault.code).toBe(code);
    expect(await left()).toEqual([]);
  });
});

describe('a splitter of one’s own', () => {
  test('splits the model of the example, and says who it is', async () => {
    const source = await readFile(
      join(repository, 'examples/custom-splitter/mlp-splitter.ts'),
      'utf8',
    );
    const progress: number[] = [];

    const plan = await splitWith(
      source,
      {
        plan: async ({ layers }) => ({ firstLayers: layers.map((_, index) => index) }),
        onProgress: ({ fraction }) => progress.push(fraction),
      },
      parity,
    );

    expect(plan).toMatchObject({ model: 'parity', architecture: 'MLP', splitter: 'mlp' });
    expect(plan.shards.map(({ firstLayer, lastLayer }) => [firstLayer, lastLayer])).toEqual([
      ...[
        [0, 0],
        [1, 1],
        [2, 2],
      ],
    ]);
    expect(JSON.parse(await readFile(join(folder, 'out/plan.json'), 'utf8'))).toEqual(plan);
    expect(lines).toEqual(['3 layers, 3 shards']);
    expect(progress.at(-1)).toBe(1);
    expect(await left()).toEqual(['out']);
  });

  test('may cut by a table of layers and leave the rest to a built-in one', async () => {
    const table = `
      import { defineSplitter } from 'aios-sdk';
      const decoder = (context) => context.tools.splitter('decoder');
      export default defineSplitter({
        name: 'table', description: 'decoders, by a table.', accepts: async () => true,
        begin: (context) => decoder(context).begin({ ...context, plan: async () => [0, 1, 6] }),
        main: (context, begun) => decoder(context).main(context, begun),
        finish: (context, done) => decoder(context).finish(context, done),
      });`;

    const own = await splitWith(table, {}, tinyAssistant);
    const builtIn = await splitModel({
      modelFolder: tinyAssistant,
      outFolder: join(folder, 'built-in'),
      splitters,
      plan: async () => ({ firstLayers: [0, 1, 6] }),
      hashCachePath: join(folder, 'hashes.json'),
    });

    expect(own).toEqual({ ...builtIn, splitter: 'table' });
  });

  test('knows its task, its model, and which layers run', async () => {
    const hash = `sha256:${'a'.repeat(64)}`;
    const asked: unknown[] = [];
    await writeFile(join(folder, 'model/table.json'), '{"cuts": [1]}');
    const begin = `
      const { task, model, layers } = context;
      task.log(JSON.stringify([task.id, task.attempt, model.name, await model.files(), await model.readJson('table.json')]));
      task.log(JSON.stringify(await layers.find('${hash}')));
      await layers.register({ hash: '${hash}', model: 'own' });
      await model.readJson('../own.mjs');`;

    const fault = await faultOf(
      splitWith(author({ begin }), {
        layers: {
          find: async (wanted) => ({
            ...{ hash: wanted, kind: 'stage', fileBytes: 1, components: [], blocks: [], vdags: [] },
          }),
          register: async (layer) => void asked.push(layer),
        },
      }),
    );

    expect(fault.code).toBe('CHECKPOINT_INVALID');
    expect(JSON.parse(lines[0] ?? '')).toEqual([
      ...['task-1', 2, 'model', [{ name: 'table.json', sizeBytes: 13 }], { cuts: [1] }],
    ]);
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ hash, kind: 'stage' });
    expect(asked).toEqual([{ hash, model: 'own' }]);
  });

  test('hears what the planner says', async () => {
    const fault = await faultOf(
      splitWith(
        await readFile(join(repository, 'examples/custom-splitter/mlp-splitter.ts'), 'utf8'),
        {
          plan: async () => ({ infeasible: 'told so' }),
        },
        parity,
      ),
    );

    expect(fault).toMatchObject({
      code: 'SPLIT_INFEASIBLE',
      message: expect.stringContaining('told so'),
    });
    expect(await left()).toEqual([]);
  });
});

describe('what an author’s process says', () => {
  const saying = (message: string) =>
    author({
      main: `await say(${message}); process.exit(0);`,
    });

  test.each([
    ['{ type: "done", plan: { version: 1, shards: 7 } }', 'SPLIT_PLAN_INVALID'],
    ['{ type: "done", plan: null }', 'SPLIT_PLAN_INVALID'],
    ['{ type: "failed", error: { code: "NO_SUCH", message: "m" } }', 'INTERNAL'],
    ['{ type: "failed", error: 7 }', 'SPLITTER_FAILED'],
    ['{ type: "call", call: 0, method: "constructor" }', 'SPLITTER_FAILED'],
    ['7', 'SPLITTER_FAILED'],
  ])('%s is %s', async (message, code) => {
    expect((await faultOf(splitWith(saying(message)))).code).toBe(code);
  });

  test('is no plan where its files are not there', async () => {
    const plan = await splitModel({
      ...{ modelFolder: tinyAssistant, outFolder: join(folder, 'built-in'), splitters },
      ...{ plan: async () => ({ firstLayers: [0] }), hashCachePath: join(folder, 'hashes.json') },
    });

    const fault = await faultOf(
      splitWith(saying(`{ type: "done", plan: ${JSON.stringify(plan)} }`)),
    );

    expect(fault.code).toBe('SPLIT_PLAN_INVALID');
    expect(fault.problems[0]?.message).toContain('was not written so');
  });

  test('is cut off where it is too long', async () => {
    const progress: unknown[] = [];
    const main = `
      const long = 'x'.repeat(100_000);
      await say({ type: 'log', line: long });
      await say({ type: 'progress', progress: { stage: 'main', fraction: 7, message: long, more: long } });
      await say({ type: 'progress', progress: { stage: long, fraction: 0, message: '' } });
      await say(
        { type: 'failed', error: { code: 'SPLITTER_FAILED', message: long, details: { long }, problems: Array(99).fill({ path: '$', message: long }) } });
      process.exit(0);`;

    const fault = await faultOf(
      splitWith(author({ main }), { onProgress: (one) => progress.push(one) }),
    );

    expect(lines.map(({ length }) => length)).toEqual([2000]);
    expect(progress.filter((one) => (one as { fraction: number }).fraction === 1)).toContainEqual({
      ...{ stage: 'main', fraction: 1, message: 'x'.repeat(2000) },
    });
    expect(JSON.stringify(progress).length).toBeLessThan(10_000);
    expect([fault.message.length, fault.problems.length, fault.details]).toEqual([32_768, 50, {}]);
    expect(fault.problems[0]?.message).toHaveLength(2000);
  });
});

describe('an author’s process that says too much', () => {
  test.each([
    [
      'without an end',
      `const piece = Buffer.alloc(2 ** 20, 122); for (;;) await write(piece);`,
      'a message of more than 16777216 bytes',
    ],
    [
      'in one message',
      `await say({ type: 'log', line: 'y'.repeat(20 * 2 ** 20) }); await new Promise(() => {});`,
      'a message of more than 16777216 bytes',
    ],
    [
      'in long messages',
      `for (;;) await say({ type: 'log', line: 'y'.repeat(2 ** 20) });`,
      '17 messages',
    ],
  ])('is ended: %s', async (_, main, words) => {
    const fault = await faultOf(splitWith(author({ main })));

    expect(fault).toMatchObject({
      ...{ code: 'SPLITTER_FAILED', message: expect.stringContaining(words) },
    });
    expect(await left()).toEqual([]);
  });

  test('is no fault of ours where it nests without end', async () => {
    const main = `
      await write(Buffer.from('{"type":"failed","error":{"code":"INTERNAL","message":"m","details":{"a":'
        + '['.repeat(1e6) + ']'.repeat(1e6) + '}}}\\n'));
      throw new Error('so');`;

    expect((await faultOf(splitWith(author({ main })))).message).toContain('main(): so');
  });

  test('asks no more at once than are answered at once', async () => {
    let atOnce = 0;
    let most = 0;
    let asked = 0;
    const main = `
      const calls = Array.from({ length: 200 }, (_, call) => ({ type: 'call', call: 1000 + call, method: 'plan', argument: {} }));
      await write(Buffer.from(calls.map((call) => JSON.stringify(call) + '\\n').join('')));
      await context.plan({ name: 'x', architecture: 'x', contextTokens: 1, embeddingBytes: 0, headBytes: 0,
        overheadBytes: 0, layers: [{ residentBytes: 1, kvBytes: 0 }] });
      throw new Error('so');`;

    const plan = async () => {
      asked += 1;
      atOnce += 1;
      most = Math.max(most, atOnce);
      await new Promise((resolve) => setTimeout(resolve, 1));
      atOnce -= 1;
      return { firstLayers: [0] };
    };
    const fault = await faultOf(splitWith(author({ main }), { plan }));

    expect(fault.message).toContain('main(): so');
    expect(asked).toBe(201);
    expect(most).toBeLessThanOrEqual(16);
  });
});

test('an author’s process gets none of our credentials', async () => {
  vi.stubEnv('AIOS_API_KEY', 'a-secret');

  await faultOf(splitWith(author({ begin: 'console.log(JSON.stringify(process.env))' })));
  vi.unstubAllEnvs();

  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ PATH: process.env.PATH });
  expect(lines.join()).not.toContain('a-secret');
});

describe('a process that it started', () => {
  const starting = (options: string, then: string) =>
    author({
      main: `
        const { spawn } = await import('node:child_process');
        const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'],
          { stdio: ['ignore', 'inherit', 'inherit'], ${options} });
        await new Promise((done) => child.once('spawn', done));
        child.unref();
        context.task.log('pid ' + child.pid);
        ${then}`,
    });
  const grandchild = () => Number(lines.find((line) => line.startsWith('pid '))?.slice(4));
  const isThere = (pid: number): boolean => {
    try {
      process.kill(pid, 0);
      // Ended, but nobody has asked yet how.
      return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return false;
    }
  };

  test('ends with it', async () => {
    const fault = await faultOf(splitWith(starting('', 'throw new Error("so");')));

    expect(fault.message).toContain('so');
    while (isThere(grandchild())) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  test('is not waited for where it left the group', async () => {
    const fault = await faultOf(splitWith(starting('detached: true', 'throw new Error("so");')));
    process.kill(grandchild(), 'SIGKILL');

    expect(fault.message).toContain('so');
  });

  test('does not hold up a cancellation', async () => {
    const controller = new AbortController();

    const fault = await faultOf(
      splitWith(starting('', 'for (;;) {}'), {
        signal: controller.signal,
        onLog(line) {
          lines.push(line);
          controller.abort();
        },
      }),
    );

    expect(fault.code).toBe('CANCELLED');
    while (isThere(grandchild())) await new Promise((resolve) => setTimeout(resolve, 5));
  });
});

describe('nothing is left, and the fault is named, when it', () => {
  test.each([
    [
      'throws in begin',
      { begin: 'throw new Error("no luck")' },
      'SPLITTER_FAILED',
      'begin(): no luck',
    ],
    [
      'throws in main',
      { main: 'throw new Error("no luck")' },
      'SPLITTER_FAILED',
      'main(): no luck',
    ],
    ['throws what is no error', { main: 'throw 7' }, 'SPLITTER_FAILED', 'main(): 7'],
    ['ends its process', { main: 'process.exit(3)' }, 'SPLITTER_FAILED', 'with code 3'],
    [
      'kills its process',
      { main: 'process.kill(process.pid, "SIGKILL")' },
      'SPLITTER_FAILED',
      'SIGKILL',
    ],
    ['never answers', { main: 'await new Promise(() => {})' }, 'SPLITTER_FAILED', 'ended'],
    ['gives no plan', { finish: '' }, 'SPLIT_PLAN_INVALID', 'gave no plan'],
    ['gives nonsense', { finish: 'return { version: 1, shards: 7 }' }, 'SPLIT_PLAN_INVALID', '$'],
  ] as const)('%s', async (_, given, code, words) => {
    const stages: { begin?: string; main?: string; finish?: string } = given;
    // An event loop with nothing to wait for ends the process: the pipe to the parent is let go.
    const letGo = 'for (const handle of process._getActiveHandles()) handle.unref?.();';
    const main = _ === 'never answers' ? `${letGo} ${stages.main}` : stages.main;
    const fault = await faultOf(splitWith(author({ ...stages, ...(main ? { main } : {}) })));

    expect(fault.code).toBe(code);
    expect(fault.message).toContain(words);
    expect(await left()).toEqual([]);
  });

  test('takes memory without end', async () => {
    const main = 'const all = []; for (;;) all.push(new Array(100_000).fill(all.length));';
    const fault = await faultOf(splitWith(author({ main }), { heapMebibytes: 64 }));

    expect(fault).toMatchObject({ code: 'SPLITTER_FAILED' });
    expect(fault.message).toContain('for want of memory: its heap may take 64 MiB');
    expect(await left()).toEqual([]);
  });

  test('is cancelled, also while it hears nothing', async () => {
    const main =
      'context.task.log("busy"); await new Promise((r) => setTimeout(r, 200)); for (;;) {}';
    const controller = new AbortController();

    const fault = await faultOf(
      splitWith(author({ main }), { signal: controller.signal, onLog: () => controller.abort() }),
    );

    expect(fault.code).toBe('CANCELLED');
    expect(await left()).toEqual([]);
  });

  test('is asked by one that is cancelled already', async () => {
    const main = 'context.signal.throwIfAborted(); await new Promise(() => {});';

    const fault = await faultOf(splitWith(author({ main }), { signal: AbortSignal.abort() }));

    expect(fault.code).toBe('CANCELLED');
    expect(await left()).toEqual([]);
  });

  test.each([
    ['exports something else', 'export default { name: "x" };', 'defineSplitter'],
    ['exports nothing', 'export const a = 1;', 'the file exports a'],
    ['throws at import', 'throw new Error("at import");', 'at import'],
  ])('%s', async (_, source, words) => {
    const fault = await faultOf(splitWith(source));

    expect(fault.code).toBe('BUNDLE_FAILED');
    expect(fault.message).toContain(words);
    expect(await left()).toEqual([]);
  });

  test('does not take the model', async () => {
    const source = author({}).replace('accepts: async () => true', 'accepts: async () => false');

    const fault = await faultOf(splitWith(source));

    expect(fault).toMatchObject({
      code: 'ARCHITECTURE_UNSUPPORTED',
      message: expect.stringContaining("splitter 'own' does not take"),
    });
  });

  test('plans files that it did not write, or that lie elsewhere', async () => {
    const planned = (name: string) => `
      const outline = { name: 'm', architecture: 'x', contextTokens: 1, layers: [{ residentBytes: 0, kvBytes: 0 }],
        embeddingBytes: 0, headBytes: 0, overheadBytes: 1 };
      const files = [{ name: ${JSON.stringify(name)}, hash: 'sha256:' + 'a'.repeat(64), sizeBytes: 7 }];
      return context.tools.createGraphPlan({ outline, shards: [{ firstLayer: 0, lastLayer: 0, fileBytes: 0,
        residentBytes: 0, graph: { stageHash: 'h', inputs: [], outputs: [], passes: [], graph: 'stage.onnx', files } }] });`;

    for (const name of ['none.onnx', '../half', '/etc/hostname', '..']) {
      const fault = await faultOf(splitWith(author({ finish: planned(name) })));
      expect([name, fault.code]).toEqual([
        name,
        expect.stringMatching(/^(SPLIT_PLAN_INVALID|SPLITTER_FAILED)$/),
      ]);
      expect(await left()).toEqual([]);
    }
  });
});

describe('a checkpoint made to take memory is refused within a small heap', () => {
  const prefix = (length: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(length));
    return bytes;
  };
  const whole = (header: string) => Buffer.concat([prefix(header.length), Buffer.from(header)]);

  test.each<[string, string, () => Buffer]>([
    [
      'names',
      'model.safetensors',
      () => whole(`{${Array.from({ length: 3_000_000 }, (_, n) => `"${n}":0`).join()}}`),
    ],
    ['sizes', 'model.safetensors', () => whole(`{"a":{"shape":[${'1,'.repeat(10_000_000)}1]}}`)],
    ['nesting', 'model.safetensors', () => whole('['.repeat(20_000_000))],
    ['a length that the file has not', 'model.safetensors', () => prefix(90_000_000)],
    [
      'layers',
      'config.json',
      () => Buffer.from('{"architectures":["LlamaForCausalLM"],"num_hidden_layers":1e15}'),
    ],
    [
      'a config of megabytes',
      'config.json',
      () => Buffer.from(`{"a":"${'x'.repeat(70_000_000)}"}`),
    ],
  ])('by %s', async (_, name, bytes) => {
    await cp(tinyAssistant, join(folder, 'model'), { recursive: true });
    await writeFile(join(folder, 'model', name), bytes());

    const fault = await faultOf(
      runSplitWorker({
        order: {
          split: { modelFolder: join(folder, 'model'), outFolder: join(folder, 'out') },
          task: { id: 'task-1', attempt: 1 },
        },
        plan: noPlan,
        layers: { find: async () => undefined, register: async () => undefined },
        onProgress: () => undefined,
        onLog: (line) => lines.push(line),
        signal: new AbortController().signal,
        heapMebibytes: 256,
      }),
    );

    expect([fault.code, fault.message.length < 40_000]).toEqual(['CHECKPOINT_INVALID', true]);
    expect(await left()).toEqual([]);
  });
});

test('a line without an end is cut off', async () => {
  const begin = 'process.stdout.write("x".repeat(5_000_000)); throw new Error("so")';

  await faultOf(splitWith(author({ begin })));

  expect(lines.map(({ length }) => length)).toEqual([2000]);
  expect(existsSync(join(folder, 'out'))).toBe(false);
});
