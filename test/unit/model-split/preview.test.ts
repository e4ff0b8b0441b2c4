import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { previewSplit } from '../../../runtime/model/split.ts';
import { splitters } from '../../../runtime/model/splitters/index.ts';
import type { WeightDtype } from '../../../sdk/spec/plan.ts';
import { writeTestModel } from '../../support/checkpoint.ts';
import { evenFirstLayers, split, temporaryFolder } from './workspace.ts';

const dtypes: readonly (WeightDtype | undefined)[] = [undefined, 'fp32', 'fp16', 'int8', 'int4'];

describe('what a split would write', () => {
  test.each(dtypes)('is what it writes, in %s, and nothing is written', async (dtype) => {
    const folder = await temporaryFolder();
    const { folder: modelFolder } = await writeTestModel(join(folder, 'model'), { dtype: 'BF16' });
    const before = await readdir(folder);

    const { outline, shards } = await previewSplit({
      ...{ modelFolder, splitters, maxSessions: 3, ...(dtype ? { dtype } : {}) },
      plan: async ({ layers }) => ({ firstLayers: evenFirstLayers(layers.length, 3) }),
    });

    expect(await readdir(folder)).toEqual(before);
    const plan = await split(modelFolder, join(folder, 'out'), {
      ...{ shards: 3, maxSessions: 3, ...(dtype ? { dtype } : {}) },
    });
    expect(plan.shards.map(({ index: _index, folder: _folder, ...amounts }) => amounts)).toEqual(
      shards,
    );
    expect(plan.dtype).toBe(dtype);
    expect(plan.blockSize).toBe(dtype?.startsWith('int') ? 32 : undefined);
    expect(plan.blocks.map(({ resources }) => resources?.memoryBytes)).toEqual(
      shards.map(({ residentBytes, kvBytes }) => residentBytes + kvBytes + outline.overheadBytes),
    );
  });

  test('counts codes and scales, in the file and in memory', async () => {
    const folder = await temporaryFolder();
    const { sizes, folder: modelFolder } = await writeTestModel(join(folder, 'model'), {
      ...{ hiddenSize: 64, intermediateSize: 128, layers: 1, heads: 4, keyValueHeads: 4 },
      ...{ vocabularySize: 96, dtype: 'BF16' },
    });
    const linear = 4 * 64 * 64 + 3 * 64 * 128;
    const amountsOf = async (dtype: WeightDtype, blockSize: number) => {
      const plan = await split(modelFolder, join(folder, `${dtype}-${blockSize}`), {
        dtype,
        blockSize,
      });
      return plan.shards[0];
    };
    const table = sizes.vocabularySize * 64;
    const norms = 3 * 64;

    // A code, and its part of a scale: of four bytes in the file, of twelve in memory.
    const int4 = await amountsOf('int4', 32);
    expect(int4?.residentBytes).toBe(
      (linear + table) * (0.5 + 12 / 32) + table * (1 + 4 / 32) + 4 * norms,
    );
    expect(int4?.fileBytes).toBe(
      (linear + table) * (0.5 + 4 / 32) + table * (1 + 4 / 32) + 2 * norms,
    );
    const int8 = await amountsOf('int8', 64);
    expect(int8?.residentBytes).toBe(
      (linear + table) * (1 + 12 / 64) + table * (1 + 4 / 64) + 4 * norms,
    );
    expect(int8?.fileBytes).toBe((linear + 2 * table) * (1 + 4 / 64) + 2 * norms);
    const fp16 = await amountsOf('fp16', 32);
    expect(fp16?.residentBytes).toBe((linear + table + norms) * 4 + table * 2);
    expect(fp16?.fileBytes).toBe((linear + 2 * table + norms) * 2);
  });

  test('is estimated where the splitter does not say it, by the layers that it told the planner', async () => {
    const folder = await temporaryFolder();
    const { folder: modelFolder } = await writeTestModel(join(folder, 'model'), { layers: 4 });
    const [, decoder] = splitters;
    if (!decoder) throw new Error('two splitters');
    const { shards: _shards, ...silent } = decoder;
    const plan = async () => ({ firstLayers: [0, 1, 3] });

    const said = await previewSplit({ modelFolder, splitters: [decoder], plan });
    const estimated = await previewSplit({ modelFolder, splitters: [silent], plan });

    const amounts = ({ shards }: typeof said) => shards.map(({ fileBytes: _, ...rest }) => rest);
    expect(amounts(estimated)).toEqual(amounts(said));
    expect([estimated.estimated, said.estimated]).toEqual([true, undefined]);
  });

  test('is refused for what a splitter cannot do', async () => {
    const folder = await temporaryFolder();
    const { folder: modelFolder } = await writeTestModel(join(folder, 'model'));
    const [onnx, decoder] = splitters;
    if (!onnx || !decoder) throw new Error('two splitters');
    const { convertsWeights: _converts, ...linksOnly } = decoder;
    const plan = async () => ({ firstLayers: [0] });
    await expect(
      previewSplit({ modelFolder, splitters: [linksOnly], dtype: 'int4', plan }),
    ).rejects.toMatchObject({ code: 'REQUEST_INVALID', message: expect.stringContaining('int4') });
    const { shards: _shards, ...silent } = decoder;
    const asksNobody = { ...silent, begin: async () => undefined };
    await expect(
      previewSplit({ modelFolder, splitters: [asksNobody], plan }),
    ).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });
});
