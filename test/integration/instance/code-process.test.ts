import { spawn } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InstanceBoot } from '../../../runtime/cluster/backend.ts';
import { connectInstance, mintTicket } from '../../../runtime/dataplane/index.ts';
import { entryPath } from '../../../runtime/entry.ts';
import type { AiosError } from '../../../sdk/errors.ts';
import type { Packet } from '../../../sdk/packet.ts';
import { createDriver, eventually } from './driver.ts';
import {
  bootOf,
  type RunningInstance,
  startInstance,
  type TemporaryFolder,
  temporaryFolder,
} from './instance-process.ts';

const source = `
import { AiosError, defineBlock } from 'aios-sdk';
import { z } from 'zod';
let runs = 0;
let aborted = 0;
let sick = false;
const wait = (ms, signal) => new Promise((done) => {
  const timer = setTimeout(done, ms);
  signal.addEventListener('abort', () => { aborted += 1; clearTimeout(timer); done(); }, { once: true });
});
export default defineBlock({
  input: z.object({ do: z.string(), text: z.string().default('') }),
  output: z.object({ text: z.string() }),
  settings: z.object({ greeting: z.string() }),
  parameters: z.object({ loud: z.boolean().default(false) }),
  onPreprocess: (packet) => packet.data.do === 'split'
    ? [...packet.data.text].map((text) => ({ ...packet, data: { do: 'echo', text } }))
    : [packet],
  onData({ data }, context) {
    runs += 1;
    const say = (text) => ({ text: context.parameters.loud ? text.toUpperCase() : text });
    switch (data.do) {
      case 'echo': return say(context.settings.greeting + data.text);
      case 'later': return Promise.resolve(say(data.text));
      case 'stream': return (async function* () { for (const text of data.text) yield say(text); })();
      case 'throw': throw new Error('the author slipped');
      case 'refuse': throw new AiosError('FORBIDDEN', 'not for you');
      case 'wrong': return { txt: 1 };
      case 'forget': void Promise.reject(new Error('forgotten')); return say('still here');
      case 'wait': return wait(60000, context.signal).then(() => say('waited'));
      case 'runs': return say(String(runs));
      case 'aborted': return say(String(aborted));
      case 'sicken': sick = true; return say('cough');
      case 'crash': setTimeout(() => { throw new Error('in a timer'); }, 0); return say('bye');
      default: return (async function* () {})();
    }
  },
  health: () => sick ? { status: 'unhealthy', reason: 'it coughs' } : { status: 'healthy' },
});
export const notABlock = 42;
export const inComponent = { block: defineBlock({ input: z.unknown(), output: z.unknown(), onData: () => 'component' }) };
`;

let folder: TemporaryFolder;

async function bundleInto(path: string, contents = source): Promise<void> {
  const result = await build({
    stdin: { contents, resolveDir: resolve(import.meta.dirname, '../../..') },
    bundle: true,
    format: 'esm',
    platform: 'node',
    conditions: ['@aios/source'],
    outfile: join(path, 'block.js'),
    logLevel: 'silent',
  });
  expect(result.errors).toEqual([]);
}

const workload = (overrides: object = {}): InstanceBoot['workload'] => ({
  type: 'code',
  file: 'block.js',
  entry: 'default',
  initData: {},
  settings: { greeting: 'hello ' },
  parameters: {},
  ...overrides,
});

let sequence = 0;
const packetOf = (data: unknown, key: Partial<Packet> = {}): Packet => {
  sequence += 1;
  return { sessionId: 's', sequence, data, createdAtMs: Date.now(), ...key };
};

interface AskOptions {
  readonly key?: Partial<Packet>;
  readonly parameters?: Record<string, unknown>;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

/** @returns every value that came; the last was the answer */
async function ask(block: RunningInstance, data: unknown, options: AskOptions = {}) {
  const values: unknown[] = [];
  const finals: boolean[] = [];
  for await (const { final, packet } of block.connection.infer(packetOf(data, options.key), {
    deadlineMs: options.deadlineMs ?? Date.now() + 20_000,
    signal: options.signal ?? new AbortController().signal,
    ...(options.parameters ? { parameters: options.parameters } : {}),
  })) {
    values.push(packet.data);
    finals.push(final);
  }
  expect(finals).toEqual(values.map((_, index) => index === values.length - 1));
  return values;
}

const failureOf = (asked: Promise<unknown>): Promise<AiosError> =>
  asked.then(
    () => {
      throw new Error('it answered');
    },
    (error: AiosError) => error,
  );

describe('an author’s block in a process of its own', () => {
  let block: RunningInstance;

  beforeAll(async () => {
    folder = await temporaryFolder();
    await bundleInto(folder.path);
    block = await startInstance(bootOf('block-0', workload()), folder.path);
    await block.ready();
  });
  afterAll(async () => {
    await block[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  it('answers with a value, a promise or several values', async () => {
    expect(await ask(block, { do: 'echo', text: 'you' })).toEqual([{ text: 'hello you' }]);
    expect(await ask(block, { do: 'later', text: 'x' })).toEqual([{ text: 'x' }]);
    expect(await ask(block, { do: 'stream', text: 'abc' })).toEqual([
      { text: 'a' },
      { text: 'b' },
      { text: 'c' },
    ]);
    expect(await ask(block, { do: 'split', text: 'ab' })).toEqual([
      { text: 'hello a' },
      { text: 'hello b' },
    ]);
  });

  it('lays a packet’s parameters over its own', async () => {
    const values = await ask(block, { do: 'later', text: 'x' }, { parameters: { loud: true } });
    expect(values).toEqual([{ text: 'X' }]);
    const refusal = await failureOf(ask(block, { do: 'later' }, { parameters: { loud: 'very' } }));
    expect(refusal).toMatchObject({
      code: 'PROTOCOL_MISMATCH',
      problems: [{ path: '$.parameters.loud' }],
    });
  });

  it.each([
    ['input', { text: 'x' }, '$.input.do'],
    ['output', { do: 'wrong' }, '$.output.text'],
  ])('names the path where its %s breaks the schema', async (_side, data, path) => {
    expect(await failureOf(ask(block, data))).toMatchObject({
      code: 'PROTOCOL_MISMATCH',
      problems: [{ path }],
    });
  });

  it.each([
    ['a throw', 'throw', 'BLOCK_FAILED'],
    ['an error of ours', 'refuse', 'FORBIDDEN'],
    ['no value at all', 'nothing', 'BLOCK_FAILED'],
  ])('turns %s into a typed error and goes on', async (_what, what, code) => {
    expect(await failureOf(ask(block, { do: what }))).toMatchObject({ code });
    expect(await ask(block, { do: 'forget' })).toEqual([{ text: 'still here' }]);
    expect(await ask(block, { do: 'echo' })).toEqual([{ text: 'hello ' }]);
  });

  it('computes a packet that comes twice once, while it runs and after', async () => {
    const before = Number(((await ask(block, { do: 'runs' })) as { text: string }[])[0]!.text);
    const key = { sessionId: 'twice', sequence: 7 };

    const both = await Promise.all([
      ask(block, { do: 'stream', text: 'ab' }, { key }),
      ask(block, { do: 'stream', text: 'ab' }, { key }),
    ]);
    const after = await ask(block, { do: 'stream', text: 'ab' }, { key });

    expect(both).toEqual([after, after]);
    expect(await ask(block, { do: 'runs' })).toEqual([{ text: String(before + 2) }]);
  });

  it('aborts the block’s work when its caller cancels or its deadline passes', async () => {
    const caller = new AbortController();
    const cancelled = failureOf(ask(block, { do: 'wait' }, { signal: caller.signal }));
    const late = failureOf(ask(block, { do: 'wait' }, { deadlineMs: Date.now() + 200 }));
    setTimeout(() => caller.abort(), 100);

    expect(await cancelled).toMatchObject({ code: 'CANCELLED' });
    expect(await late).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await eventually(async () => {
      const [answer] = (await ask(block, { do: 'aborted' })) as { text: string }[];
      return answer?.text === '2';
    });
  });

  it('refuses more packets at once than it may answer', async () => {
    const caller = new AbortController();
    setMaxListeners(0, caller.signal);
    const waiting = Array.from({ length: 64 }, () =>
      failureOf(ask(block, { do: 'wait' }, { signal: caller.signal })),
    );
    await eventually(async () => {
      const asked = await ask(block, { do: 'echo' }).catch((error: AiosError) => error);
      return 'code' in asked && asked.code === 'BUSY';
    });

    caller.abort();
    await Promise.all(waiting);
    await eventually(() =>
      ask(block, { do: 'echo' }).then(
        () => true,
        () => false,
      ),
    );
  });

  it('takes tensors and files with a packet', async () => {
    const tensor = { dtype: 'float32' as const, shape: [2], data: new Uint8Array(8) };
    const files = [{ metadata: { name: 'a.txt' }, data: Buffer.from('a') }];
    const key = { tensors: { x: tensor }, files };
    expect(await ask(block, { do: 'echo' }, { key })).toEqual([{ text: 'hello ' }]);
    const broken = { tensors: { x: { ...tensor, shape: [3] } } };
    expect(await failureOf(ask(block, { do: 'echo' }, { key: broken }))).toMatchObject({
      code: 'TENSOR_MISMATCH',
    });
  });

  it('says that it is no shard of a model', async () => {
    const driver = await createDriver([block.hop]);
    const session = driver.session('s');
    session.open();
    await expect(session.next()).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    driver.close();
  });

  it('reports its own health', async () => {
    await eventually(() => block.status()?.health?.status === 'healthy');
    await ask(block, { do: 'sicken' });
    await eventually(() => block.status()?.health?.reason === 'it coughs');
  });
});

describe('the process of an instance', () => {
  it('hosts the block of a component', async () => {
    await using place = await temporaryFolder();
    await bundleInto(place.path);
    const boot = bootOf('block-1', workload({ entry: 'inComponent' }));
    await using block = await startInstance(boot, place.path);
    expect(await ask(block, null)).toEqual(['component']);
  });

  it.each([
    ['there is no such export', workload({ entry: 'missing' }), 'BLOCK_FAILED'],
    ['the export is no block', workload({ entry: 'notABlock' }), 'BLOCK_FAILED'],
    ['the file is missing', workload({ file: 'other.mjs' }), 'BLOCK_FAILED'],
    ['the settings are wrong', workload({ settings: {} }), 'PROTOCOL_MISMATCH'],
  ])('says so and exits with 70 when %s', async (_what, bad, code) => {
    await using place = await temporaryFolder();
    await bundleInto(place.path);
    await using block = await startInstance(bootOf('block-2', bad), place.path);

    expect(await block.exited).toEqual({ code: 70, signal: null });
    expect(block.output()).toContain(code);
    expect(block.status()).toMatchObject({ state: 'failed', error: { code } });
  });

  it('exits with 70 and one line when the author’s code throws where nobody catches', async () => {
    await using place = await temporaryFolder();
    await bundleInto(place.path);
    await using block = await startInstance(bootOf('block-3', workload()), place.path);

    await ask(block, { do: 'crash' }).catch(() => {});

    expect(await block.exited).toEqual({ code: 70, signal: null });
    expect(block.output()).toContain('INTERNAL: in a timer\n');
  });

  it('ends by itself when the control plane that held it does not come back', async () => {
    await using place = await temporaryFolder();
    await bundleInto(place.path);
    const boot = bootOf('block-4', workload(), { orphanTimeoutMs: 1500 });
    await using block = await startInstance(boot, place.path);
    await block.ready();
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(block.child.exitCode).toBeNull();

    block.abandon();

    expect(await block.exited).toEqual({ code: 0, signal: null });
    expect(block.output()).toContain('no control plane');
  });

  it('ends by itself when no control plane ever comes', async () => {
    await using place = await temporaryFolder();
    await bundleInto(place.path);
    const child = spawn(process.execPath, [entryPath('runtime/instance/main.js')], {
      cwd: place.path,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    child.stdin.end(JSON.stringify(bootOf('block-5', workload(), { orphanTimeoutMs: 500 })));
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('ends after its current work when it is asked to drain', async () => {
    await using place = await temporaryFolder();
    await bundleInto(place.path);
    await using block = await startInstance(bootOf('block-6', workload()), place.path);
    await block.ready();
    const caller = new AbortController();
    const asked = failureOf(ask(block, { do: 'wait' }, { signal: caller.signal }));
    await ask(block, { do: 'echo' });

    block.drain();
    await eventually(() => block.status()?.state === 'draining');
    expect(await failureOf(ask(block, { do: 'echo' }))).toMatchObject({
      code: 'SHARD_UNAVAILABLE',
    });
    expect(block.child.exitCode).toBeNull();
    caller.abort();

    await asked;
    expect(await block.exited).toEqual({ code: 0, signal: null });
  });

  it.each([
    ['nothing', ''],
    ['half a document', '{"instanceId": "x"'],
    ['a document without a secret', JSON.stringify({ ...bootOf('x', workload()), secret: '' })],
    ['more than sixteen megabytes', ' '.repeat(17 * 2 ** 20)],
  ])('exits with 64 when its standard input holds %s', async (_what, input) => {
    await using place = await temporaryFolder();
    const child = spawn(process.execPath, [entryPath('runtime/instance/main.js')], {
      cwd: place.path,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    child.stdin.on('error', () => {});
    let errors = '';
    child.stderr.on('data', (text) => {
      errors += text;
    });
    child.stdin.end(input);
    expect(await once(child, 'close')).toEqual([64, null]);
    expect(errors).toMatch(/^(SPEC_INVALID|REQUEST_TOO_LARGE): .+\n$/);
  });

  it('does not let in who does not know its secret', async () => {
    await using place = await temporaryFolder();
    await bundleInto(place.path);
    await using block = await startInstance(bootOf('block-7', workload()), place.path);
    const stranger = connectInstance({
      address: block.process.address,
      peerId: 'control-test',
      ticket: mintTicket('00'.repeat(32), 'control-test'),
    });
    await expect(stranger.link()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    stranger.close();
  });
});
