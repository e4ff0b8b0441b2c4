import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytes, integer, message, packed, string } from '../../../runtime/model/onnx/wire.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { splitOnnx } from '../../support/onnx-split.ts';
import { buildGraph } from './random-graphs.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-onnx-'));
  await writeFile(join(folder, 'weights.bin'), Buffer.alloc(4096));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const value = (name: string) =>
  message(
    string(1, name),
    bytes(2, bytes(1, message(integer(1, 1), bytes(2, bytes(1, integer(1, 4)))))),
  );
const node = (
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  ...more: Uint8Array[]
) =>
  bytes(
    1,
    message(
      ...inputs.map((name) => string(1, name)),
      ...outputs.map((name) => string(2, name)),
      string(4, operator),
      ...more,
    ),
  );
const opset = bytes(8, message(string(1, ''), integer(2, 17)));
const model = (...parts: Uint8Array[]) =>
  message(integer(1, 8), opset, bytes(7, message(...parts)));
const input = bytes(11, value('x'));
const output = bytes(12, value('y'));
const relu = node('Relu', ['x'], ['y']);
const tensor = (...parts: Uint8Array[]) => bytes(5, message(string(8, 'w'), ...parts));
const floats = (...dims: number[]) => message(packed(1, dims), integer(2, 1));
const outside = (location: string, more: Readonly<Record<string, string>> = {}) =>
  tensor(
    floats(8),
    integer(14, 1),
    ...Object.entries({ location, ...more }).map(([key, text]) =>
      bytes(13, message(string(1, key), string(2, text))),
    ),
  );
const around = (...parts: Uint8Array[]) => model(input, output, relu, ...parts);
const nested = (depth: number): Uint8Array =>
  depth === 0
    ? relu
    : node(
        'If',
        ['x'],
        ['y'],
        bytes(5, message(string(1, 'then_branch'), bytes(6, nested(depth - 1)))),
      );

const long = Buffer.alloc(11, 0xff);

const spoiled: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['nothing', new Uint8Array(), /holds no graph/],
  ['text', Buffer.from('{"model": "not protobuf at all"}'), /field|wire type|number/],
  ['no graph', message(integer(1, 8), opset), /holds no graph/],
  [
    'two graphs',
    message(model(input, output, relu), bytes(7, message(input, output, relu))),
    /two graphs/,
  ],
  [
    'no operator set',
    message(integer(1, 8), bytes(7, message(input, output, relu))),
    /no operator set/,
  ],
  ['a number that never ends', message(Buffer.of(0x08), long), /more than ten bytes/],
  [
    'a field past the end',
    message(opset, Buffer.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f)),
    /bytes more than there are/,
  ],
  [
    'a field of negative length',
    message(opset, Buffer.of(0x3a), Buffer.alloc(9, 0xff), Buffer.of(1)),
    /negative length/,
  ],
  ['a group', message(opset, Buffer.of(0x3b)), /wire type 3/],
  ['a name that is not UTF-8', around(bytes(1, bytes(3, Buffer.of(0xff, 0xfe)))), /not UTF-8/],
  ['a name of 5000 letters', around(node('Relu', ['x'.repeat(5000)], ['z'])), /longer than 4096/],
  ['a node without operator', around(node('', ['x'], ['z'])), /names no operator/],
  [
    'a node that reads nothing known',
    model(input, output, node('Relu', ['xx'], ['y'])),
    /'xx', which nothing gives/,
  ],
  ['an output that nothing gives', model(input, output), /output 'y' is given by nothing/],
  ['no outputs', model(input, relu), /no outputs/],
  ['two tensors of one name', around(relu), /'y' has the name of a tensor/],
  ['two inputs of one name', around(input), /input 'x' has the name/],
  ['two weights of one name', around(tensor(floats(0)), tensor(floats(0))), /'w' is there twice/],
  [
    'a circle',
    model(
      input,
      output,
      node('Add', ['x', 'b'], ['a']),
      node('Relu', ['a'], ['b']),
      node('Relu', ['b'], ['y']),
    ),
    /need each other's outputs: a → b|need each other's outputs: b → a/,
  ],
  ['graphs 40 deep', model(input, output, nested(40)), /16 deep/],
  ['a weight of negative size', around(tensor(floats(-1))), /no count/],
  [
    'a weight of 1000 dimensions',
    around(tensor(floats(...Array<number>(1000).fill(1)))),
    /64 dimensions/,
  ],
  [
    'a weight beyond counting',
    around(tensor(floats(2 ** 40, 2 ** 40), bytes(9, Buffer.alloc(4)))),
    /no countable size/,
  ],
  [
    'a weight of an unknown type',
    around(tensor(packed(1, [1]), integer(2, 99))),
    /unknown type 99/,
  ],
  [
    'a weight with too few bytes',
    around(tensor(floats(8), bytes(9, Buffer.alloc(31)))),
    /needs 32 bytes and has 31/,
  ],
  ['a weight without data', around(tensor(floats(8))), /has no data/],
  ['a weight above the folder', around(outside('../weights.bin')), /no path below/],
  ['a weight above it by a detour', around(outside('a/../../weights.bin')), /no path below/],
  ['a weight at an absolute path', around(outside('/etc/passwd')), /no path below/],
  ['a weight nowhere', around(outside('')), /no path below/],
  ['a weight in a file that is missing', around(outside('other.bin')), /no such file/],
  ['a weight in a folder', around(outside('.')), /no path below/],
  [
    'a weight past the file',
    around(outside('weights.bin', { offset: '4090' })),
    /ends at byte 4122 of 'weights.bin', which has 4096/,
  ],
  ['a weight at a negative offset', around(outside('weights.bin', { offset: '-4' })), /no counts/],
  [
    'a weight of another length',
    around(outside('weights.bin', { length: '64' })),
    /needs 32 bytes and has 64/,
  ],
];

async function problemsOf(content: Uint8Array) {
  const path = join(folder, 'model.onnx');
  await writeFile(path, content);
  const error: unknown = await splitOnnx(path, join(folder, 'out'), { shards: 1 }).catch(
    (fault) => fault,
  );
  if (!AiosError.isInstance(error)) throw new Error(`expected a refusal, got ${String(error)}`);
  expect(error.code).toBe('CHECKPOINT_INVALID');
  expect((await readdir(folder)).sort()).toEqual(['model.onnx', 'weights.bin']);
  return error.problems;
}

describe('a file with', () => {
  test.each(spoiled)('%s is refused with the place', async (_name, content, expected) => {
    const problems = await problemsOf(content);

    expect(problems.map(({ message: text }) => text).join('\n')).toMatch(expected);
    for (const { path } of problems) expect(path).toMatch(/^model\.onnx@\d+$/);
  });

  test('many faults shows all of them', async () => {
    const problems = await problemsOf(
      around(
        outside('../up.bin'),
        tensor(floats(8), bytes(9, Buffer.alloc(3))),
        node('Relu', ['q'], ['r']),
      ),
    );

    expect(problems.map(({ message: text }) => text)).toEqual([
      expect.stringContaining('no path below'),
      expect.stringContaining('needs 32 bytes'),
    ]);
  });

  test('a name close to a known one says which', async () => {
    const [problem] = await problemsOf(
      model(bytes(11, value('pixels')), output, node('Relu', ['pixel'], ['y'])),
    );

    expect(problem).toMatchObject({ nearest: 'pixels' });
  });
});

test('a file that is cut off, or has a byte changed, is refused or read, and nothing else', async () => {
  const steps = (['product', 'choice', 'joined', 'constant', 'product'] as const).map((kind) => ({
    kind,
    picks: [2, 1],
  }));
  const { model: whole } = buildGraph({ steps, outputs: [1], firstSeed: 3 });
  const path = join(folder, 'model.onnx');
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.option(fc.nat(255)), async (at, byte) => {
      const content = byte === null ? whole.subarray(0, at) : Uint8Array.from(whole);
      if (byte !== null) content[at] = byte;
      await writeFile(path, content);
      const { readOnnxFile } = await import('../../../runtime/model/onnx-cut/read-model.ts');
      const { createDag } = await import('../../../runtime/model/onnx-cut/dag.ts');
      const problems: unknown[] = [];
      const file = await readOnnxFile(path, problems as never);
      if (file && problems.length === 0) createDag(file, problems as never);
      file?.source.close();
      if (byte === null) expect(problems.length).toBeGreaterThan(0);
    }),
    { numRuns: 300 },
  );
});
