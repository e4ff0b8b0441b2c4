import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../../cli/commands/index.ts';
import type { Decision } from '../../../sdk/client/api.ts';
import { errorCodes } from '../../../sdk/errors.ts';
import { aios, events, type FakeServer, json, problem, serve } from './harness.ts';

let folder = '';
const servers: FakeServer[] = [];
const start = async (routes: Parameters<typeof serve>[0]): Promise<FakeServer> => {
  const server = await serve(routes);
  servers.push(server);
  return server;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-cli-'));
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('help', () => {
  it('lists every command', async () => {
    const { code, out } = await aios(['--help']);

    expect(code).toBe(0);
    for (const { usage } of commands) expect(out).toContain(`aios ${usage.split(' ')[0]}`);
  });

  it.each(commands.map((command) => [command.usage.replace(/\s*[[<].*$/, ''), command] as const))(
    'of %s shows an example that names it',
    async (name, command) => {
      const { code, out } = await aios([...name.split(' '), '--help']);

      expect(code).toBe(0);
      expect(out).toContain('Examples:');
      expect(command.examples.length).toBeGreaterThan(0);
      for (const [line] of command.examples) expect(line).toContain(`aios ${name}`);
    },
  );

  it('stands in for no command at all', async () => {
    expect((await aios([])).out).toContain('Commands:');
  });
});

describe('wrong usage', () => {
  it.each([
    ['an unknown command', ['crate-block']],
    ['an unknown option', ['status', '--zork']],
    ['a missing argument', ['get']],
    ['an unknown kind', ['get', 'zebras']],
    ['no document', ['create-cluster']],
    ['two documents', ['create-cluster', 'a.json', '-f', 'b.json']],
    ['a malformed duration', ['create-block', 'a.json', '--timeout', 'soon']],
    ['a number that is none', ['up', '--port', 'abc']],
    ['a port that cannot be', ['up', '--port', '99999']],
    ['half a shard', ['split', 'model', '--out', 'plan', '--shards', '1.5']],
    ['a malformed address', ['status', '--url', 'ftp://x']],
  ])('%s exits with 2 and says what to do', async (_name, argv) => {
    const { code, out, err } = await aios(argv);

    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).not.toBe('');
  });

  it('suggests the command that was meant', async () => {
    expect((await aios(['crate-block'])).err).toContain('create-block');
  });
});

describe('errors', () => {
  it.each(Object.entries(errorCodes).filter(([, { http }]) => http >= 400))(
    '%s becomes its exit code',
    async (code, { exit, http }) => {
      const server = await start({ 'GET /api/status': problem(http, code, 'a sentence.') });

      const outcome = await aios(['status', '--url', server.url]);

      expect(outcome.code).toBe(exit);
    },
  );

  it('show every problem with its path, and all of it to programs', async () => {
    const problems = [
      { path: '$.nodes[0].memoryBytes', message: 'must be bytes', expected: "'2Gi'", seen: '"x"' },
      { path: '$.regoinId', message: 'unknown key', nearest: 'regionId' },
    ];
    const server = await start({
      'POST /api/clusters': problem(400, 'SPEC_INVALID', 'cluster is invalid.', problems),
    });
    const argv = ['create-cluster', '-f', '-', '--url', server.url];

    const people = await aios(argv, { input: '{}' });
    const program = await aios([...argv, '--json'], { input: '{}' });

    expect(people.code).toBe(2);
    for (const text of ['$.nodes[0].memoryBytes', "did you mean 'regionId'"]) {
      expect(people.err).toContain(text);
    }
    expect(JSON.parse(program.err)).toMatchObject({ error: { code: 'SPEC_INVALID', problems } });
  });

  it('say how to start a control plane where none answers', async () => {
    const server = await start({});
    await server.close();

    const { code, err } = await aios(['status', '--url', server.url]);

    expect(code).toBe(errorCodes.CONNECTION_FAILED.exit);
    expect(err).toContain(`is \`aios up\` running at ${server.url}?`);
  });

  it('name the line and column of broken JSON', async () => {
    await writeFile(join(folder, 'broken.json'), '{\n  "id": "x",\n  oops\n}');

    const { code, err } = await aios(['create-vdag', 'broken.json'], { cwd: folder });

    expect(code).toBe(2);
    expect(err).toContain('broken.json:3:3');
  });
});

describe('documents', () => {
  it.each([
    ['a file', ['cluster.json']],
    ['-f FILE', ['-f', 'cluster.json']],
    ['standard input', ['-f', '-']],
  ])('are read from %s and sent as they are', async (_name, source) => {
    const document = { head: { spec: 'any dialect' } };
    await writeFile(join(folder, 'cluster.json'), JSON.stringify(document));
    const created = { kind: 'cluster', id: 'edge', revision: 1, spec: {}, warnings: [] };
    const server = await start({ 'POST /api/clusters': json(created, 201) });

    const outcome = await aios(['create-cluster', ...source, '--json'], {
      cwd: folder,
      env: { AIOS_URL: `${server.url}/`, AIOS_API_KEY: 'secret' },
      input: JSON.stringify(document),
    });

    expect(JSON.parse(outcome.out)).toEqual(created);
    expect(server.asked[0]?.json()).toEqual(document);
    expect(server.asked[0]?.headers.authorization).toBe('Bearer secret');
  });
});

const decision: Decision = {
  id: 'd1',
  tenant: 'default',
  blockId: 'ocr',
  reason: 'create',
  outcome: 'placed',
  message: 'placed on edge/n2.',
  candidates: [
    {
      clusterId: 'edge',
      nodeId: 'n1',
      refusedBy: 'memoryBytes >= 2 GiB',
      seen: '1.0 GiB',
      chosen: false,
    },
    { clusterId: 'edge', nodeId: 'n2', score: 0.75, chosen: true },
  ],
  evaluations: [],
  plan: { blockId: 'ocr', clusterId: 'edge', score: 0.75, instances: [] },
  atMs: 0,
  durationMs: 3,
};

describe('why a block is where it is', () => {
  it.each([
    ['explain', ['explain', 'block', 'ocr'], { 'GET /api/blocks/ocr/explain': json([decision]) }],
    [
      'a dry run',
      ['create-block', '-f', '-', '--dry-run'],
      { 'POST /api/blocks?dryRun=true': json(decision) },
    ],
  ])('%s shows each candidate with its refusal or its score', async (_name, argv, routes) => {
    const server = await start(routes);

    const { code, out } = await aios([...argv, '--url', server.url], { input: '{}' });

    expect(code).toBe(0);
    expect(out).toMatch(/n1 .*refused: memoryBytes >= 2 GiB; saw 1\.0 GiB/);
    expect(out).toMatch(/n2 .*0\.750 .*chosen/);
  });
});

it('a refused dry run ends with the exit code of NO_CANDIDATE', async () => {
  const refused = { ...decision, outcome: 'refused' };
  const server = await start({ 'POST /api/blocks?dryRun=true': json(refused) });

  const argv = ['create-block', '-f', '-', '--dry-run', '--url', server.url];
  const { code, out } = await aios(argv, { input: '{}' });

  expect(code).toBe(5);
  expect(out).toContain('refused');
});

describe('infer', () => {
  it('prints the answer, and partial results when asked', async () => {
    const server = await start({
      'POST /api/infer/block/hello': events(
        { final: false, data: 1 },
        { final: true, data: { text: 'hi' } },
      ),
    });
    const argv = ['infer', 'block', 'hello', '--data', '{"name":"you"}', '--url', server.url];

    expect(JSON.parse((await aios(argv)).out)).toEqual({ text: 'hi' });
    expect((await aios([...argv, '--stream'])).out).toBe('1\n{"text":"hi"}\n');
    expect(server.asked[0]?.json()).toEqual({ data: { name: 'you' }, stream: true });
  });

  it('reads its data from standard input', async () => {
    const { url, asked } = await start({
      'POST /api/infer/block/x': events({ final: true, data: 1 }),
    });

    const { code } = await aios(['infer', 'block', 'x', '--data', '-', '--url', url], {
      input: '{"a":1}',
    });

    expect(code).toBe(0);
    expect(asked[0]?.json()).toMatchObject({ data: { a: 1 } });
  });

  it('fails when the stream ends before the answer', async () => {
    const server = await start({ 'POST /api/infer': events({ final: false, data: 1 }) });

    const { code } = await aios(['infer', 'vdag', 'x:1', '--data', '1', '--url', server.url]);

    expect(code).toBe(errorCodes.CONNECTION_FAILED.exit);
  });
});

describe('a split plan', () => {
  it('that is none is refused with every problem before anything is sent', async () => {
    const server = await start({});
    await writeFile(join(folder, 'plan.json'), '{"version": 2}');

    const { code, err } = await aios(['create-plan', '.', '--url', server.url], { cwd: folder });

    expect(code).toBe(errorCodes.SPEC_INVALID.exit);
    for (const path of ['$.version', '$.model', '$.shards']) expect(err).toContain(path);
    expect(server.asked).toHaveLength(0);
  });
});

describe('schema', () => {
  it('needs no control plane', async () => {
    const { code, out } = await aios(['schema', 'block', '--url', 'http://127.0.0.1:1']);

    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ properties: { componentUri: {} } });
  });

  it('lists the kinds there are for one there is not', async () => {
    const { code, err } = await aios(['schema', 'zebra']);

    expect(code).toBe(errorCodes.NOT_FOUND.exit);
    expect(err).toContain('block');
  });
});

it('prints its version', async () => {
  expect((await aios(['--version'])).out).toMatch(/^\d+\.\d+\.\d+/);
});
