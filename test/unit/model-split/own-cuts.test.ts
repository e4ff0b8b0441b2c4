import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decoderSplitter } from '../../../runtime/model/splitters/decoder.ts';
import { defineSplitter } from '../../../sdk/splitter.ts';
import { writeTestModel } from '../../support/checkpoint.ts';
import { split, temporaryFolder } from './workspace.ts';

/** The pattern of an author who cuts where they want, and leaves the writing to the built-in one. */
const cutAt = (firstLayers: readonly number[]) =>
  defineSplitter<never, never>({
    name: 'table',
    description: 'decoders, by a table.',
    accepts: async () => true,
    begin: (context) =>
      context.tools
        .splitter('decoder')
        .begin({ ...context, plan: async () => firstLayers }) as Promise<never>,
    main: (context, begun) =>
      context.tools.splitter('decoder').main(context, begun) as Promise<never>,
    finish: (context, done) => context.tools.splitter('decoder').finish(context, done),
  });

describe('cuts of an author’s own', () => {
  test.each<[readonly number[], string, string, string]>([
    [[0, 3, 2], '$.firstLayers[2]', 'no further shard', '2'],
    [[0, 2, 1], '$.firstLayers[2]', '3', '1'],
    [[1, 2], '$.firstLayers[0]', '0', '1'],
    [[0, 4], '$.firstLayers[1]', '1 to 3', '4'],
    [[], '$.firstLayers', 'the index of each first layer, such as [0] or [0, 4]', ''],
    ['x' as never, '$.firstLayers', 'the index of each first layer, such as [0] or [0, 4]', '"x"'],
  ])('%j are refused by the built-in stages', async (cuts, path, expected, seen) => {
    const folder = await temporaryFolder();
    const { folder: model } = await writeTestModel(join(folder, 'model'), { layers: 4 });

    const failure = split(model, join(folder, 'out'), { splitters: [cutAt(cuts)] });

    await expect(failure).rejects.toMatchObject({
      code: 'SPLIT_PLAN_INVALID',
      problems: [{ path, expected, ...(seen === '' ? {} : { seen }) }],
    });
    expect(await readdir(folder)).toEqual(['model']);
  });

  test('that cover every layer are taken', async () => {
    const folder = await temporaryFolder();
    const { folder: model } = await writeTestModel(join(folder, 'model'), { layers: 4 });

    const plan = await split(model, join(folder, 'out'), { splitters: [cutAt([0, 1, 3])] });

    expect(plan.shards.map(({ firstLayer }) => firstLayer)).toEqual([0, 1, 3]);
  });
});

test('a folder that cannot be written is said so', async () => {
  const folder = await temporaryFolder();
  const { folder: model } = await writeTestModel(join(folder, 'model'));
  await mkdir(join(folder, 'a'));
  await writeFile(join(folder, 'a', 'file'), '');

  const failure = split(model, join(folder, 'a', 'file', 'out'), { splitters: [decoderSplitter] });

  await expect(failure).rejects.toMatchObject({
    code: 'REQUEST_INVALID',
    message: expect.stringContaining('cannot be written ('),
  });
});
