import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseSafetensorsHeader } from '../../../runtime/model/safetensors.ts';
import { findHeaderFaults } from '../../../runtime/model/safetensors-keys.ts';
import { splitModel } from '../../../runtime/model/split.ts';
import { splitters } from '../../../runtime/model/splitters/index.ts';
import { AiosError } from '../../../sdk/errors.ts';
import { writeTestModel } from '../../support/checkpoint.ts';
import { temporaryFolder } from './workspace.ts';

/** What a spoiled model may end with. Anything else is a fault of ours. */
const codes = ['CHECKPOINT_INVALID', 'ARCHITECTURE_UNSUPPORTED', 'SPLIT_INFEASIBLE'];

type Edit = (bytes: Buffer) => Buffer;

const position = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const at = (bytes: Buffer, where: number): number => Math.floor(where * bytes.length);
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.tuple(position, fc.integer({ min: 0, max: 255 })).map(
    ([where, value]): Edit =>
      (bytes) => {
        const copy = Buffer.from(bytes);
        if (copy.length > 0) copy[at(copy, where)] = value;
        return copy;
      },
  ),
  position.map(
    (where): Edit =>
      (bytes) =>
        bytes.subarray(0, at(bytes, where)),
  ),
  fc.tuple(position, fc.uint8Array({ maxLength: 16 })).map(
    ([where, added]): Edit =>
      (bytes) =>
        Buffer.concat([
          bytes.subarray(0, at(bytes, where)),
          added,
          bytes.subarray(at(bytes, where)),
        ]),
  ),
  fc.tuple(position, position).map(
    ([where, length]): Edit =>
      (bytes) => {
        const first = at(bytes, where);
        const end = Math.min(bytes.length, first + 1 + Math.floor(length * 40));
        return Buffer.concat([bytes.subarray(0, first), bytes.subarray(end)]);
      },
  ),
);
/** Numbers in JSON text, replaced by ones that nobody expects. */
const numberEdit: fc.Arbitrary<Edit> = fc
  .tuple(
    position,
    fc.constantFrom(
      '-1',
      '0',
      '1e308',
      '-0',
      '9007199254740993',
      '1.5',
      'null',
      '"1"',
      '[]',
      '{}',
      '4294967296',
      '1e9',
    ),
  )
  .map(
    ([where, value]): Edit =>
      (bytes) => {
        const text = bytes.toString('latin1');
        const numbers = [...text.matchAll(/-?\d+(\.\d+)?(e-?\d+)?/g)];
        const chosen = numbers[Math.floor(where * numbers.length)];
        if (!chosen) return bytes;
        const end = chosen.index + chosen[0].length;
        return Buffer.from(text.slice(0, chosen.index) + value + text.slice(end), 'latin1');
      },
  );

/** Only the header of a safetensors file: its data mean nothing to a split. */
const inHeader =
  (change: Edit): Edit =>
  (bytes) => {
    const length = Number(bytes.readBigUInt64LE());
    const header = change(bytes.subarray(8, 8 + length));
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(header.length));
    return Buffer.concat([prefix, header, bytes.subarray(8 + length)]);
  };

const files: readonly (readonly [name: string, edits: fc.Arbitrary<Edit>, runs: number])[] = [
  ['model.safetensors', edit, 60],
  ['model.safetensors', fc.oneof(edit, numberEdit).map(inHeader), 150],
  ['config.json', fc.oneof(edit, numberEdit, numberEdit), 250],
  ['tokenizer.json', edit, 60],
];

describe('a model with a spoiled', () => {
  test.each(files)('%s is split or refused, and leaves nothing', async (name, edits, numRuns) => {
    const folder = await temporaryFolder();
    const model = await writeTestModel(join(folder, 'model'));
    const names = await readdir(model.folder);
    const bytes = await readFile(join(model.folder, name));
    let run = 0;
    await fc.assert(
      fc.asyncProperty(edits, async (change) => {
        run += 1;
        const work = join(folder, `run-${run}`);
        await mkdir(join(work, 'model'), { recursive: true });
        for (const one of names) await copyFile(join(model.folder, one), join(work, 'model', one));
        await writeFile(join(work, 'model', name), change(bytes));

        const fault = await splitModel({
          modelFolder: join(work, 'model'),
          outFolder: join(work, 'out'),
          splitters,
          plan: async ({ layers }) => ({ firstLayers: layers.length > 1 ? [0, 1] : [0] }),
          hashCachePath: join(folder, 'hashes.json'),
        }).then(
          () => undefined,
          (error) => AiosError.from(error),
        );

        const left = (await readdir(work)).filter((one) => one !== 'model');
        if (!fault) expect(left).toEqual(['out']);
        else {
          expect([fault.message, codes.includes(fault.code)]).toEqual([fault.message, true]);
          expect(fault.message.length).toBeLessThan(40_000);
          expect(left).toEqual([]);
        }
      }),
      { numRuns },
    );
  });
});

describe('a header made to take memory', () => {
  const parse = (text: string) =>
    parseSafetensorsHeader(Buffer.from(text), 1000, 'model.safetensors');
  const tensor = (shape: string, offsets = '[0,0]') =>
    `{"a":{"dtype":"F32","shape":${shape},"data_offsets":${offsets}}}`;

  test.each([
    ['millions of names', `{${Array.from({ length: 1_200_000 }, (_, n) => `"${n}":0`).join()}}`],
    ['a shape of millions of sizes', tensor(`[${'1,'.repeat(2_000_000)}1]`)],
    ['millions of offsets', tensor('[1]', `[${'0,'.repeat(2_000_000)}0]`)],
    ['a name of megabytes', `{"${'n'.repeat(4_000_000)}":{"dtype":"F32"}}`],
    ['a type of megabytes', tensor('[0]').replace('F32', 'F'.repeat(4_000_000))],
  ])('by %s is refused in few words', (_, text) => {
    const { tensors, problems } = parse(text);

    expect(tensors).toEqual([]);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.length).toBeLessThanOrEqual(100);
    expect(JSON.stringify(problems).length).toBeLessThan(100_000);
  });

  test('is judged in one pass, before it becomes objects', () => {
    expect(findHeaderFaults(`{"a":[${'0,'.repeat(2000)}0]}`)).toHaveLength(1);
    expect(findHeaderFaults('['.repeat(1_000_000))).toHaveLength(1);
  });
});
