import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SystemStatus } from '../../sdk/client/api.ts';
import { connect } from '../../sdk/client/index.ts';
import { errorCodes } from '../../sdk/errors.ts';
import { aios, isRunning, spawnAios, type Up, up } from './cli-process.ts';

const example = (path: string): string =>
  fileURLToPath(new URL(`../../examples/${path}`, import.meta.url));

const cluster = JSON.stringify({
  id: 'home',
  nodes: ['n1', 'n2'].map((id) => ({ id, memoryBytes: '1Gi', cpuCores: 8 })),
});
const question = 'What is the capital of Japan?';
const answer = 'The capital of Japan is Tokyo.\n';

let folder = '';
let server: Up;
let model = '';

const run = (...args: string[]) => aios(args, { url: server.url, cwd: folder });
const status = async (): Promise<SystemStatus> =>
  JSON.parse((await run('status', '--json')).out) as SystemStatus;
const instancePids = ({ blocks }: SystemStatus): number[] =>
  blocks.flatMap(({ instances }) => instances.flatMap(({ pid }) => pid ?? []));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-e2e-'));
  server = await up(join(folder, 'data'));
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('the command line, from an empty directory to an answer', () => {
  it('prints one address, without a path', () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  it('declares a cluster from standard input', async () => {
    const { code } = await aios(['create-cluster', '-f', '-'], { url: server.url, input: cluster });

    expect(code).toBe(0);
    expect((await status()).clusters.map(({ spec }) => spec.id)).toEqual(['home']);
  });

  it('splits a model into a table for people and a plan for programs', async () => {
    const people = await run(
      'split',
      example('models/tiny-assistant'),
      '--shards',
      '2',
      '--out',
      'plan',
    );
    const program = await run(
      ...['split', example('models/tiny-assistant'), '--fit', 'home', '--out', 'fit', '--json'],
    );

    expect(people.code).toBe(0);
    expect(people.out.split('\n')[0]).toMatch(/SHARD +LAYERS .*RESIDENT +KV CACHE/);
    expect((await readdir(join(folder, 'plan'))).sort()).toEqual([
      'plan.json',
      'shard-0',
      'shard-1',
      'tokenizer',
    ]);
    expect(JSON.parse(program.out).shards).toHaveLength(1);
  });

  it('lets a planner of one’s own cut', async () => {
    await writeFile(
      join(folder, 'planner.ts'),
      `import { definePolicy } from 'aios-sdk';
       import { z } from 'zod';
       export default definePolicy({ hook: 'splitPlanner', name: 'mine', version: '1', description: 'After the first layer.',
         parameters: z.object({}), settings: z.object({}), evaluate: () => ({ firstLayers: [0, 1] }) });`,
    );

    const { out } = await run(
      ...['split', example('models/tiny-assistant'), '--planner', './planner.ts', '--out', 'own'],
      '--json',
    );

    const plan = JSON.parse(out);
    expect(plan.planner).toBe('mine:1-stable');
    expect(plan.shards.map((shard: { firstLayer: number }) => shard.firstLayer)).toEqual([0, 1]);
  });

  it('refuses a plan whose files were changed, naming them, before anything is sent', async () => {
    await run('split', example('models/tiny-assistant'), '--shards', '2', '--copy', '--out', 'cut');
    await writeFile(join(folder, 'cut', 'shard-1', 'weights.bin'), 'short');
    await rm(join(folder, 'cut', 'tokenizer', 'tokenizer.json'));

    const { code, err } = await run('create-plan', 'cut');

    expect(code).toBe(errorCodes.SPLIT_PLAN_INVALID.exit);
    expect(err).toContain(join('shard-1', 'weights.bin'));
    expect(err).toContain(join('tokenizer', 'tokenizer.json'));
  });

  it('creates the plan and prints the name to ask for', async () => {
    const { code, out, err } = await run('create-plan', 'plan', '--wait', '--json');

    expect({ code, err }).toEqual({ code: 0, err: '' });
    ({ model } = JSON.parse(out));
    expect(await connect(server.url).models()).toContain(model);
    expect((await run('create-plan', 'plan')).out).toContain(`model ${model} is ready: 2 shards`);
  });

  it('shows each shard as a process of its own, promised and measured', async () => {
    const { blocks } = await status();

    const instances = blocks.flatMap((block) => block.instances);
    expect(new Set(instances.map(({ pid }) => pid)).size).toBe(2);
    for (const { memoryBytes, residentBytes, aboveEmptyBytes } of instances) {
      expect(memoryBytes).toBeGreaterThan(0);
      expect(residentBytes).toBeGreaterThan(0);
      expect(aboveEmptyBytes).toBeLessThan(residentBytes ?? 0);
    }
    expect((await run('status')).out).toContain('language model');
  });

  it('chats, from a pipe', async () => {
    const chat = (input: string) => aios(['chat', model], { url: server.url, input });

    expect(await chat(question)).toEqual({ code: 0, out: answer, err: '' });
    expect((await chat('My name is Grace.\nWhat is my name?\n')).out).toBe(
      'Hello Grace! How can I help you?\nYour name is Grace.\n',
    );
  });

  it('calls the model as one node of a graph', async () => {
    const data = JSON.stringify({
      messages: [{ role: 'user', content: question }],
      temperature: 0,
    });

    const { out } = await run('infer', 'vdag', model, '--data', data);

    expect(JSON.parse(out)).toMatchObject({ text: answer.trim(), finishReason: 'stop' });
  });

  it('stops an answer at Ctrl-C and goes on', async () => {
    const chat = spawnAios(['chat', model, '--temperature', '1.9'], { url: server.url });
    const ended = once(chat, 'exit');
    chat.stdin?.write('Count from 1 to 9.\n');
    await once(chat.stdout as NodeJS.ReadableStream, 'data');

    chat.kill('SIGINT');
    chat.stdin?.end('/exit\n');

    expect((await ended)[0]).toBe(0);
    const sessions = async () =>
      (await status()).blocks.flatMap(({ instances }) =>
        instances.map(({ counters }) => counters?.openSessions),
      );
    while ((await sessions()).some((open) => open !== 0)) await sleep(100);
  });
});

describe('an author’s block and policy', () => {
  it('are bundled, explained before they run, and called', async () => {
    const component = await run('create-component', example('hello-block/block.ts'));
    const policy = await run('create-policy', example('custom-policy/keep-reserve.ts'));
    expect([component.err, policy.err]).toEqual(['', '']);

    const dry = await run('create-block', example('custom-policy/block.json'), '--dry-run');
    const created = await run('create-block', example('custom-policy/block.json'), '--wait');
    const called = await run(
      ...['infer', 'block', 'careful-hello', '--data', '{"name":"Ada"}', '--stream'],
    );

    expect(dry.out).toMatch(/n\d .*chosen/);
    expect(dry.out).toContain('keep-reserve:1.0.0-stable: room for');
    expect(created).toMatchObject({ code: 0, err: '' });
    expect(called.out).toBe('{"greeting":"Hello"}\n{"greeting":"Hello, Ada!"}\n');
    expect((await run('logs', 'careful-hello')).out).toContain('greeting Ada');
    expect((await run('explain', 'block', 'careful-hello')).out).toContain(
      'keep-reserve:1.0.0-stable',
    );
  });

  it('refuse what breaks their protocol', async () => {
    const { code, err } = await run('infer', 'block', 'careful-hello', '--data', '{"name":""}');

    expect(code).toBe(errorCodes.PROTOCOL_MISMATCH.exit);
    expect(err).toContain('name');
  });

  it('are not deleted while something refers to them', async () => {
    const used = await run('delete', 'component', 'example.hello:1.0.0-stable');
    const block = await run('delete', 'block', 'careful-hello');
    const unused = await run('delete', 'component', 'example.hello:1.0.0-stable');

    expect(used.code).toBe(errorCodes.IN_USE.exit);
    expect([block.code, unused.code]).toEqual([0, 0]);
  });
});

describe('a control plane', () => {
  it('has its data directory alone', async () => {
    const { code, err } = await aios(['up', '--port', '0', '--data-dir', join(folder, 'data')]);

    expect(code).toBe(errorCodes.STORE_LOCKED.exit);
    expect(err).toContain('STORE_LOCKED');
  });

  it('says so when its data directory cannot be one', async () => {
    await writeFile(join(folder, 'file'), '');

    const { code, err } = await aios(['up', '--port', '0', '--data-dir', join(folder, 'file')]);

    expect(code).toBe(errorCodes.STORE_UNAVAILABLE.exit);
    expect(err).toContain('--data-dir');
  });

  it('listens beyond this machine only with a key', async () => {
    const data = join(folder, 'open');
    const { code, err } = await aios([
      'up',
      '--host',
      '0.0.0.0',
      '--port',
      '0',
      '--data-dir',
      data,
    ]);

    expect(code).toBe(errorCodes.REQUEST_INVALID.exit);
    expect(err).toContain('API key');
  });

  it('that was killed comes back with everything that was declared', async () => {
    const before = instancePids(await status());
    expect(await server.stop('SIGKILL')).toBe('SIGKILL');

    server = await up(join(folder, 'data'));
    const chat = await aios(['chat', model, '--json'], { url: server.url, input: question });

    expect(JSON.parse(chat.out)).toMatchObject({ text: answer.trim() });
    const after = new Set(instancePids(await status()));
    for (const pid of before) expect(after.has(pid) || !isRunning(pid)).toBe(true);
  });

  it('stops at SIGTERM, also while a shard computes, and leaves no process behind', async () => {
    const pids = instancePids(await status());
    const chat = spawnAios(['chat', model, '--temperature', '1.9'], { url: server.url });
    const chatEnded = once(chat, 'exit');
    chat.stdin?.end('Count from 1 to 9.\n'.repeat(50));
    await once(chat.stdout as NodeJS.ReadableStream, 'data');

    expect(await server.stop('SIGTERM')).toBe(0);

    expect((await chatEnded)[0]).not.toBe(0);
    expect(pids.filter(isRunning)).toEqual([]);
    server = await up(join(folder, 'data'));
  });

  it('forgets a model whole when its plan is undone by its bare name', async () => {
    const { code } = await run('delete', 'vdag', model.replace(/:.*/, ''), '--cascade');

    expect(code).toBe(0);
    const { blocks, vdags } = await status();
    const components = JSON.parse((await run('get', 'components', '--json')).out);
    expect({ blocks, vdags, components }).toEqual({ blocks: [], vdags: [], components: [] });
    expect((await aios(['chat', model], { url: server.url })).code).toBe(errorCodes.NOT_FOUND.exit);
  });
});

it('loads almost nothing to print its version', async () => {
  const coverage = join(folder, 'coverage');
  await mkdir(coverage);

  const { out } = await aios(['--version'], { env: { NODE_V8_COVERAGE: coverage } });

  expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  const [report = ''] = await readdir(coverage);
  const { result } = JSON.parse(await readFile(join(coverage, report), 'utf8'));
  const loaded = result.filter(({ url }: { url: string }) => url.startsWith('file:'));
  expect(loaded.length).toBeLessThan(8);
});
