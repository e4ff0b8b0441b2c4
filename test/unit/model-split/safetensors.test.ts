import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  maxHeaderBytes,
  parseSafetensorsHeader,
  readSafetensorsHeader,
} from '../../../runtime/model/safetensors.ts';
import { encodeRawSafetensors, encodeSafetensors } from '../../support/checkpoint.ts';
import { temporaryFolder } from './workspace.ts';

const file = 'model.safetensors';

async function problemsOf(bytes: Uint8Array) {
  const path = join(await temporaryFolder(), file);
  await writeFile(path, bytes);
  return (await readSafetensorsHeader(path, file)).problems;
}

/** A header over `dataBytes` of zeros. */
const withHeader = (header: unknown, dataBytes: number) =>
  encodeRawSafetensors(
    typeof header === 'string' ? header : JSON.stringify(header),
    new Uint8Array(dataBytes),
  );

const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

function lengthOnly(length: bigint, rest = 16): Buffer {
  const bytes = Buffer.alloc(8 + rest);
  bytes.writeBigUInt64LE(length);
  return bytes;
}

test('a well-formed file gives every tensor with its place in the file', async () => {
  const path = join(await temporaryFolder(), file);
  const entries = [
    { name: 'a', dtype: 'F16', shape: [3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) },
    { name: 'empty', dtype: 'F32', shape: [0, 7], data: new Uint8Array() },
    { name: 'b', dtype: 'U8', shape: [], data: Uint8Array.of(7) },
  ];
  const bytes = encodeSafetensors(entries);
  await writeFile(path, bytes);

  const { tensors, problems } = await readSafetensorsHeader(path, file);

  expect(problems).toEqual([]);
  expect(tensors.map(({ name }) => name).sort()).toEqual(['a', 'b', 'empty']);
  for (const { name, offsetBytes, lengthBytes } of tensors) {
    const stored = bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
    expect([...stored]).toEqual([...entries.find((entry) => entry.name === name)!.data]);
  }
});

describe('a malformed file is refused with the place and what was expected', () => {
  const cases: Record<string, [bytes: Uint8Array, path: string, message: RegExp]> = {
    'an empty file': [new Uint8Array(), `${file}@0`, /too short/],
    'a file shorter than its header length': [
      encodeRawSafetensors('{"a":', new Uint8Array()).subarray(0, 10),
      `${file}@0`,
      /does not fit/,
    ],
    'a header length of nothing': [lengthOnly(0n), `${file}@0`, /does not fit/],
    'a header length over the limit of the format': [
      lengthOnly(BigInt(maxHeaderBytes) + 1n),
      `${file}@0`,
      /over the limit/,
    ],
    'the largest header length there is': [
      lengthOnly(2n ** 64n - 1n),
      `${file}@0`,
      /over the limit/,
    ],
    'a header that is no UTF-8': [
      encodeRawSafetensors(Uint8Array.of(0x7b, 0xff, 0x7d), new Uint8Array()),
      `${file}@8`,
      /not UTF-8/,
    ],
    'a header that is no JSON': [withHeader('{"a": ', 0), `${file}@8`, /not JSON/],
    'a header that is no object': [withHeader('[1]', 0), `${file}@8`, /no object/],
    'a header behind white space': [withHeader(' {}', 0), `${file}@8`, /no object/],
    'a name given twice': [
      withHeader(`{"a":${JSON.stringify(f32(0, 4))},"a":${JSON.stringify(f32(0, 4))}}`, 4),
      `${file}@8`,
      /"a" twice/,
    ],
    'a name given twice in two spellings': [
      withHeader(`{"a":${JSON.stringify(f32(0, 4))},"\\u0061":${JSON.stringify(f32(0, 4))}}`, 4),
      `${file}@8`,
      /"a" twice/,
    ],
    'a field given twice': [
      withHeader('{"a":{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,4]}}', 4),
      `${file}@8`,
      /"shape" twice/,
    ],
    'nesting without end': [withHeader('['.repeat(100_000), 0), `${file}@8`, /nested deeper/],
    'an unknown dtype': [
      withHeader({ a: { ...f32(0, 4), dtype: 'F31' } }, 4),
      `${file}: a`,
      /unknown dtype/,
    ],
    'a dtype from the prototype': [
      withHeader({ a: { ...f32(0, 4), dtype: 'constructor' } }, 4),
      `${file}: a`,
      /unknown dtype/,
    ],
    'an unknown field': [withHeader({ a: { ...f32(0, 4), x: 1 } }, 4), `${file}: a`, /malformed/],
    'a missing field': [withHeader({ a: { dtype: 'F32' } }, 4), `${file}: a`, /malformed/],
    'a negative size': [withHeader({ a: f32(0, 4, [-1]) }, 4), `${file}: a`, /malformed/],
    'a fractional size': [withHeader({ a: f32(0, 4, [0.5, 2]) }, 4), `${file}: a`, /malformed/],
    'an offset past every integer': [
      withHeader('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1e300]}}', 4),
      `${file}: a`,
      /malformed/,
    ],
    'a shape that overflows': [
      withHeader({ a: f32(0, 4, [2 ** 40, 2 ** 40]) }, 4),
      `${file}: a`,
      /do not hold/,
    ],
    'a shape that is not the range': [
      withHeader({ a: f32(0, 4, [2]) }, 4),
      `${file}: a`,
      /do not hold/,
    ],
    'a range that ends before it begins': [
      withHeader({ a: f32(8, 4, [1]) }, 8),
      `${file}: a`,
      /ends before/,
    ],
    'metadata that are no texts': [
      withHeader({ __metadata__: { n: 1 }, a: f32(0, 4) }, 4),
      `${file}: __metadata__`,
      /malformed/,
    ],
    'an overlap': [withHeader({ a: f32(0, 8), b: f32(4, 12) }, 12), '@', /'b' overlaps/],
    'a hole': [withHeader({ a: f32(0, 4), b: f32(8, 12) }, 12), '@', /hole.*'b'/],
    'data that do not begin at the header': [withHeader({ a: f32(4, 8) }, 8), '@', /hole.*'a'/],
    'an end past the end of the file': [
      withHeader({ a: f32(0, 16) }, 12),
      file,
      /truncated: \d+ of \d+ bytes; 1 tensor lost, first 'a'/,
    ],
    'bytes after the last tensor': [withHeader({ a: f32(0, 4) }, 5), '@', /follow/],
  };
  for (const [name, [bytes, path, message]] of Object.entries(cases)) {
    test(name, async () => {
      const problems = await problemsOf(bytes);

      expect(problems).not.toEqual([]);
      expect(problems[0]?.path).toContain(path);
      expect(problems[0]?.message).toMatch(message);
      expect(problems[0]?.expected).toBeTruthy();
    });
  }
});

test('a truncated file is one problem, however many tensors it lost', async () => {
  const header = { a: f32(0, 4), b: f32(4, 8), c: f32(8, 12) };

  const problems = await problemsOf(withHeader(header, 6));

  expect(problems).toHaveLength(1);
  expect(problems[0]?.message).toContain("2 tensors lost, first 'b'");
});

test('all problems are reported at once', async () => {
  const header = { a: f32(0, 4, [3]), b: { ...f32(4, 8), dtype: 'X' }, c: f32(8, 4, [1]) };

  expect(await problemsOf(withHeader(header, 12))).toHaveLength(3);
});

test('any bytes give problems or tensors inside the file, and never an exception', () => {
  const json = fc.oneof(
    fc.json({ maxDepth: 4 }),
    fc.string(),
    fc
      .dictionary(
        fc.string(),
        fc.record({
          dtype: fc.constantFrom('F32', 'F16', 'Q'),
          shape: fc.array(fc.integer({ min: -1, max: 9 }), { maxLength: 3 }),
          data_offsets: fc.tuple(fc.nat(99), fc.nat(99)),
        }),
      )
      .map((header) => JSON.stringify(header)),
  );
  fc.assert(
    fc.property(json, fc.nat(120), (header, dataBytes) => {
      const bytes = new TextEncoder().encode(header);
      const size = 8 + bytes.length + dataBytes;

      const { tensors, problems } = parseSafetensorsHeader(bytes, size, file);

      const end = tensors.reduce((sum, { lengthBytes }) => sum + lengthBytes, 8 + bytes.length);
      if (problems.length === 0) expect(end).toBe(size);
    }),
  );
});
