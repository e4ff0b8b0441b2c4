import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { renderError } from '../../../cli/report.ts';
import { AiosError, errorCodes, formatProblems } from '../../../sdk/errors.ts';
import { aios, events, type FakeServer, json, problem, serve } from './harness.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-usage-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let server: FakeServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});
const start = async (routes: Parameters<typeof serve>[0]): Promise<string> => {
  server = await serve(routes);
  return server.url;
};

describe('standard input', () => {
  const created = { kind: 'cluster', id: 'edge', revision: 1, spec: {}, warnings: [] };

  it.each([
    ['-f -', ['-f', '-']],
    ['-f-', ['-f-']],
    ['--file -', ['--file', '-']],
    ['--file=-', ['--file=-']],
    ['-', ['-']],
    ['- after options', ['--replace', '-']],
  ])('is a document as %s', async (_name, words) => {
    const url = await start({
      'GET /api/clusters': json([]),
      'POST /api/clusters': json(created, 201),
    });

    const outcome = await aios(['create-cluster', ...words, '--url', url], { input: '{"a":1}' });

    expect(outcome).toEqual({ code: 0, out: 'cluster edge created\n', err: '' });
    expect(server?.asked.at(-1)?.json()).toEqual({ a: 1 });
  });

  it.each([
    ['--data -', ['--data', '-']],
    ['--data=-', ['--data=-']],
    ['--data - before the rest', ['--data', '-', '--session', 's']],
  ])('is a request as %s', async (_name, words) => {
    const url = await start({ 'POST /api/infer': events({ final: true, data: 2 }) });

    const { out } = await aios(['infer', 'block', 'b', ...words, '--url', url], { input: '1' });

    expect(out).toBe('2\n');
    expect(server?.asked[0]?.json()).toMatchObject({ data: 1 });
  });
});

describe('a number', () => {
  it.each([
    ['chat m --temperature abc', 'a number from 0 to 2'],
    ['chat m --temperature 2.5', 'a number from 0 to 2; got 2.5'],
    ['chat m --top-p -1', 'a number from 0 to 1; got -1'],
    ['chat m --top-k 1.5', 'a whole number of at least 0; got 1.5'],
    ['chat m --max-tokens 0', 'a whole number of at least 1; got 0'],
    ['chat m --seed 1e99', 'a whole number; got 1e99'],
    ['chat m --seed', '--seed needs a value'],
    ['split x --out y --shards abc', 'a whole number of at least 1'],
    ['split x --out y --shards two', "a whole number of at least 1; got 'two'"],
    ['split x --out y --shards 2.5', 'got 2.5'],
    ['split x --out y --shards 0', 'got 0'],
    ['split x --out y --shards 2 --shards 3', 'got 2 and 3'],
    ['split x --out y --context 0', '--context must be'],
    ['up --port abc', 'a whole number from 0 to 65535'],
    ['up --port 99999', 'got 99999'],
    ['logs b --tail=-1', '--tail must be'],
  ])('in `%s` is refused', async (line, sentence) => {
    const { code, out, err } = await aios(line.split(' '));

    expect({ code, out }).toEqual({ code: errorCodes.REQUEST_INVALID.exit, out: '' });
    expect(err).toContain(sentence);
  });
});

describe('a command line', () => {
  it.each([
    ['nope', "unknown command 'nope'. aios --help lists the commands."],
    ['--json nope', "unknown command 'nope'"],
    ['help nope', "unknown command 'nope'"],
    ['crate-block', "Did you mean 'create-block'?"],
    ['get', 'expected aios get <kind> [id]. See aios get --help.'],
    ['get zebras', "<kind> is 'zebras'; expected one of component, components,"],
    ['status --zork', 'unknown argument: zork. See aios status --help.'],
    [
      'split x --dry-run --evaluate t',
      '--evaluate reads with the shards, and --dry-run writes none',
    ],
    ['split x --out y --block 32', '--block is of --dtype int8 and int4 alone; got no --dtype'],
    ['split x --out y --block 32 --dtype fp16', 'got --dtype fp16'],
    ['split n.onnx --out y --evaluate t', "'n.onnx' is an ONNX graph; leave it out"],
    ['split n.onnx --out y --context 9 --max-sessions 2', '--context and --max-sessions are of'],
    ['infer block b', '--data must be given. See aios infer --help.'],
  ])('`%s` is refused in one sentence', async (line, sentence) => {
    const { code, err } = await aios(line.split(' '));

    expect(code).toBe(errorCodes.REQUEST_INVALID.exit);
    expect(err).toContain(sentence);
    expect(err.trim().split('\n')).toHaveLength(1);
  });

  it.each([
    ['help chat', 'aios chat <model>'],
    ['help', 'Commands:'],
  ])('`%s` is help', async (line, text) => {
    const { code, out } = await aios(line.split(' '));

    expect(code).toBe(0);
    expect(out).toContain(text);
  });

  it('asks for the version in JSON too', async () => {
    const { code, out } = await aios(['--version', '--json']);

    expect(code).toBe(0);
    expect(JSON.parse(out).version).toMatch(/^\d+\.\d+\.\d+/);
  });

  it.each([
    ['create-block none.json', "there is no file 'none.json'."],
    ['create-block .', "'.' is a folder; name a file in it."],
    ['create-plan none', "there is no folder 'none'."],
    ['create-plan model', "'model' holds no plan.json, so it is not a split model."],
    ['split none --out x', "there is no folder 'none'."],
    ['split model --out x --evaluate none.txt', "there is no file 'none.txt'."],
    ['split model --out x --planner evne', 'expected even, fastest, memory-aware'],
  ])('`%s` says what is missing, once', async (line, sentence) => {
    await mkdir(join(folder, 'model'), { recursive: true });
    if (line.includes('--evaluate')) await writeFile(join(folder, 'model', 'tokenizer.json'), '{}');

    const { code, err } = await aios(line.split(' '), { cwd: folder });

    expect(code).toBe(errorCodes.NOT_FOUND.exit);
    expect(err).toContain(sentence);
    expect(err).not.toContain(folder);
  });
});

describe('an error', () => {
  const plain = (text: string): string => text;
  const one = [{ path: '$.name', message: 'must be a text.', expected: "'x'", seen: '1' }];
  const two = [...one, { path: '$.age', message: 'is missing' }];

  it('whose sentence lists its problems shows each once', () => {
    const error = new AiosError('REQUEST_INVALID', `no request:\n${formatProblems(two)}`, {
      problems: two,
    });

    const shown = renderError(error, plain);

    expect(shown).toBe(
      "REQUEST_INVALID no request:\n  $.name: must be a text; expected 'x'; got 1\n  $.age: is missing",
    );
  });

  it('of many problems shows the first ten, and how many are left last', () => {
    const many = Array.from({ length: 40 }, (_, at) => ({ path: `$[${at}]`, message: 'is odd.' }));
    const short = `no model:\n${formatProblems(many.slice(0, 10))}\n  and 719 more`;
    const shownOf = (message: string) =>
      renderError(new AiosError('CHECKPOINT_INVALID', message, { problems: many }), plain);

    for (const [message, last] of [
      [short, '  and 719 more'],
      ['no model:', '  and 30 more'],
    ] as const) {
      const lines = shownOf(message).split('\n');
      expect(lines).toHaveLength(12);
      expect([lines[1], lines.at(-1)]).toEqual(['  $[0]: is odd.', last]);
    }
  });

  it('whose sentence tells its one problem adds only what is left to say', () => {
    const message = 'the block document has a problem at $.name: must be a text.';

    const shown = renderError(new AiosError('SPEC_INVALID', message, { problems: one }), plain);

    expect(shown).toBe(`SPEC_INVALID ${message}\n  expected 'x'; got 1`);
  });

  it('whose sentence tells all of its problems is only that', () => {
    const problems = two.map(({ path, message }) => ({ path, message }));
    const message = 'its input: $.name: must be a text; $.age: is missing.';

    const shown = renderError(new AiosError('PROTOCOL_MISMATCH', message, { problems }), plain);

    expect(shown).toBe(`PROTOCOL_MISMATCH ${message}`);
  });

  it('whose sentence tells the first of its problems leaves it to the list', () => {
    const message = 'the block document has 2 problems, the first at $.name: must be a text.';

    const shown = renderError(new AiosError('SPEC_INVALID', message, { problems: two }), plain);

    expect(shown).toBe(`SPEC_INVALID the block document has 2 problems:\n${formatProblems(two)}`);
  });

  it('for want of a key names the variable that holds it', async () => {
    const url = await start({ 'GET /api/status': problem(401, 'UNAUTHENTICATED', 'no key.') });

    expect((await aios(['status', '--url', url])).err).toContain('AIOS_API_KEY');
  });

  it('about a port that no client asks says so', async () => {
    const { code, err } = await aios(['status', '--url', 'http://127.0.0.1:1']);

    expect(code).toBe(errorCodes.REQUEST_INVALID.exit);
    expect(err).toContain('http://127.0.0.1:1 is on a port');
  });
});
