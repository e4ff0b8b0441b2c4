import { afterEach, describe, expect, it } from 'vitest';
import { run } from '../../../cli/run.ts';
import { errorCodes } from '../../../sdk/errors.ts';
import { aios, events, type FakeServer, fakeIo, json, problem, serve } from './harness.ts';

let server: FakeServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});
const start = async (routes: Parameters<typeof serve>[0]): Promise<string> => {
  server = await serve(routes);
  return server.url;
};
const calls = (method: string): string[] =>
  (server?.asked ?? []).filter((asked) => asked.method === method).map(({ path }) => path);

const vdag = (uri: string, nodes: readonly object[] = []) => {
  const [name = '', rest = ''] = uri.split(':');
  const [version, releaseTag] = rest.split('-');
  const spec = { uri, name, version, releaseTag, nodes, edges: [] };
  return { spec, revision: 1, ready: true, waitingFor: [] };
};
const tiny = vdag('tiny:1.0.0-stable', [
  { label: 'a', blockId: 'tiny-0' },
  { label: 'b', blockId: 'tiny-1' },
]);
const twice = [vdag('two:1-a'), vdag('two:1-b')];

describe('a vDAG by its bare name', () => {
  const routes = {
    'GET /api/vdags/tiny:1.0.0-stable': json(tiny),
    'GET /api/vdags': json([tiny, ...twice]),
    'DELETE /api/vdags/': json({}),
  };

  it.each([['get'], ['delete']])('is found by %s', async (command) => {
    const url = await start(routes);

    const { code, out } = await aios([command, 'vdag', 'tiny', '--url', url]);

    expect(code).toBe(0);
    expect(out).toContain('tiny:1.0.0-stable');
  });

  it.each([
    ['two', 'URI_AMBIGUOUS', 'two:1-a, two:1-b'],
    ['tinny', 'NOT_FOUND', "Did you mean 'tiny'?"],
  ] as const)('%s is refused as %s', async (name, code, hint) => {
    const outcome = await aios(['delete', 'vdag', name, '--url', await start(routes)]);

    expect(outcome.code).toBe(errorCodes[code].exit);
    expect(outcome.err).toContain(hint);
    expect(calls('DELETE')).toEqual([]);
  });
});

describe('delete --cascade', () => {
  const block = (id: string) => json({ spec: { id, componentUri: `shard.${id}:1-x` } });

  it('undoes create-plan: the vDAG, its blocks, their components; what is used stays', async () => {
    const url = await start({
      'GET /api/vdags/tiny': json(tiny),
      'GET /api/vdags': json([tiny]),
      'GET /api/blocks/tiny-0': block('tiny-0'),
      'GET /api/blocks/tiny-1': block('tiny-1'),
      'DELETE /api/components/shard.tiny-1': problem(409, 'IN_USE', 'another uses it.'),
      'DELETE /': json({}),
    });

    const { code, out } = await aios(['delete', 'vdag', 'tiny', '--cascade', '--url', url]);

    expect(code).toBe(0);
    expect(calls('DELETE').map((path) => path.replace('/api/', ''))).toEqual([
      'vdags/tiny:1.0.0-stable',
      'blocks/tiny-0',
      'blocks/tiny-1',
      'components/shard.tiny-0:1-x',
      'components/shard.tiny-1:1-x',
    ]);
    expect(out).toContain('component shard.tiny-1:1-x kept');
  });

  it('deletes nothing when what was named is used itself', async () => {
    const url = await start({
      'GET /api/blocks/tiny-0': block('tiny-0'),
      'DELETE /api/blocks/tiny-0': problem(409, 'IN_USE', 'a vDAG uses it.'),
    });

    const { code } = await aios(['delete', 'block', 'tiny-0', '--cascade', '--url', url]);

    expect(code).toBe(errorCodes.IN_USE.exit);
    expect(calls('DELETE')).toHaveLength(1);
  });

  it('is for what has something under it', async () => {
    const { code } = await aios(['delete', 'cluster', 'c', '--cascade']);

    expect(code).toBe(errorCodes.REQUEST_INVALID.exit);
  });
});

describe('--replace', () => {
  const created = { kind: 'cluster', id: 'edge', revision: 7, spec: {}, warnings: [] };

  it.each([
    ['replaced what was there', [{ spec: { id: 'edge' } }], 'cluster edge replaced\n'],
    ['created what was not', [{ spec: { id: 'other' } }], 'cluster edge created\n'],
  ])('says that it %s', async (_name, before, sentence) => {
    const url = await start({
      'GET /api/clusters': json(before),
      'POST /api/clusters?replace=true': json(created, 201),
    });

    const { out } = await aios(['create-cluster', '-', '--replace', '--url', url], { input: '{}' });

    expect(out).toBe(sentence);
  });
});

it('infer --stream --json says which result is the last', async () => {
  const results = [
    { final: false, data: 1 },
    { final: true, data: 2 },
  ];
  const url = await start({ 'POST /api/infer': events(...results) });
  const argv = ['infer', 'block', 'b', '--data', '0', '--stream', '--json', '--url', url];

  const { out } = await aios(argv);

  expect(
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual(results);
});

it('logs of nothing there is says so as other commands do', async () => {
  const { code, err } = await aios(['logs', 'helo', '--url', await start({})]);

  expect(code).toBe(errorCodes.NOT_FOUND.exit);
  expect(err).toContain("no block and no instance 'helo'");
});

it('schema takes plurals, as get does', async () => {
  expect((await aios(['schema', 'policies'])).out).toBe((await aios(['schema', 'policy'])).out);
});

it('status shows memory above an empty instance beside resident and peak, on a narrow terminal too', async () => {
  const instance = {
    ...{ id: 'ocr-1', blockId: 'ocr', clusterId: 'edge', nodeId: 'n1', state: 'ready', gpus: [] },
    ...{ restarts: 0, outstandingRequests: 0, memoryBytes: 2 ** 30 },
    ...{ residentBytes: 300 * 2 ** 20, emptyResidentBytes: 100 * 2 ** 20 },
    ...{ aboveEmptyBytes: 200 * 2 ** 20, peakResidentBytes: 400 * 2 ** 20 },
  };
  const spec = { id: 'ocr', minInstances: 1, componentUri: 'node.ocr:1.0.0-stable' };
  const block = {
    spec,
    revision: 1,
    state: 'running',
    wantedInstances: spec.minInstances,
    clusterId: 'edge',
    instances: [instance],
  };
  const system = { version: '1', pid: 1, startedAtMs: 0, dataDirectory: 'd', clusters: [] };
  const url = await start({ 'GET /api/status': json({ ...system, blocks: [block], vdags: [] }) });

  const wide = await aios(['status', '--url', url]);
  const io = fakeIo({ env: { NO_COLOR: '1' } });
  await run(['status', '--url', url], {
    ...io,
    stdout: { ...io.stdout, isTTY: true, columns: 80 },
  });

  expect(wide.out).toMatch(/RESIDENT +ABOVE EMPTY +PEAK/);
  expect(wide.out).toMatch(/300\.0 MiB +200\.0 MiB +400\.0 MiB/);
  const narrow = io.output();
  expect(narrow).toContain('above empty 200.0 MiB');
  for (const line of narrow.split('\n').slice(1)) expect(line.length).toBeLessThanOrEqual(80);
});
